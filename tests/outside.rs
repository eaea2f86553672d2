//! Functions that need a runtime report its absence and the place of the call.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::catch_unwind;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use runtime::io::AsyncRead;

/// Returns the text of the panic of `f` and the file that it names.
fn panic_of(f: impl FnOnce() + std::panic::UnwindSafe) -> (String, String) {
    use std::sync::{Mutex, PoisonError};
    // The hook belongs to the process, so only one test at a time uses it.
    static HOOK: Mutex<()> = Mutex::new(());
    static SEEN: Mutex<Option<(String, String)>> = Mutex::new(None);
    let _one = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|place| place.file().to_owned())
            .unwrap_or_default();
        *SEEN.lock().unwrap() = Some((info.to_string(), place));
    }));
    let panicked = catch_unwind(f);
    drop(std::panic::take_hook());
    assert!(panicked.is_err(), "the function panics");
    SEEN.lock().unwrap().take().expect("the hook was called")
}

fn assert_panics_with(f: impl FnOnce() + std::panic::UnwindSafe, call: &str) {
    let (text, place) = panic_of(f);
    assert!(text.contains(call), "does not name the call: {text}");
    assert!(
        text.contains("#[runtime::main]"),
        "does not name the remedy: {text}"
    );
    assert!(
        place.ends_with("outside.rs"),
        "names {place} and not the caller"
    );
}

#[test]
fn spawning_outside_a_runtime_names_the_call_and_the_place() {
    assert_panics_with(|| drop(runtime::spawn(async {})), "spawn was called");
    assert_panics_with(
        || drop(runtime::spawn_blocking(|| {})),
        "spawn_blocking was called",
    );
    assert_panics_with(
        || drop(runtime::Handle::current()),
        "Handle::current was called",
    );
    let named = || drop(runtime::task::Builder::new().name("x").spawn(async {}));
    assert_panics_with(named, "task::Builder::spawn was called");
    assert!(runtime::Handle::try_current().is_none());
}

#[test]
fn a_sleep_outside_a_runtime_names_the_call_and_the_place() {
    let (text, _) = panic_of(|| {
        let mut sleep = runtime::time::sleep(Duration::from_secs(1));
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop()));
    });
    assert!(
        text.contains("time::sleep called at tests/outside.rs"),
        "{text}"
    );
    assert!(text.contains("no runtime drives this thread"), "{text}");
}

#[test]
fn a_timeout_outside_a_runtime_names_the_call_and_the_place() {
    let (text, _) = panic_of(|| {
        let never = std::future::pending::<()>();
        let mut limited = std::pin::pin!(runtime::time::timeout(Duration::ZERO, never));
        let _ = limited
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
    });
    let place = "time::timeout called at tests/outside.rs";
    assert!(text.contains(place), "{text}");
    let (text, _) = panic_of(|| {
        let mut interval = runtime::time::interval(Duration::from_secs(1));
        let _ = interval.poll_tick(&mut Context::from_waker(Waker::noop()));
    });
    let place = "time::interval called at tests/outside.rs";
    assert!(text.contains(place), "{text}");
}

#[test]
fn a_socket_that_has_to_wait_outside_a_runtime_is_an_error_not_a_panic() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = runtime::net::TcpStream::from_std(listener.accept().unwrap().0).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut byte = [0];
    let read = Pin::new(&mut &stream).poll_read(&mut cx, &mut byte);
    let std::task::Poll::Ready(Err(error)) = read else {
        panic!("expected an error, got {read:?}")
    };
    assert!(
        error.to_string().contains("no runtime drives this thread")
            && error.to_string().starts_with("reading from descriptor"),
        "{error}"
    );

    // Operations that do not wait work outside a runtime.
    peer.write_all(b"x").unwrap();
    let mut blocking = stream.into_std();
    blocking.set_nonblocking(false).unwrap();
    assert_eq!(blocking.read(&mut byte).unwrap(), 1);
}
