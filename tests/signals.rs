//! Signals. A separate binary, because they belong to the process. Each test uses a different
//! signal. Signals that kill the process are sent in a child process, which is this binary again.

use std::env;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::StreamExt;
use runtime::Runtime;
use runtime::signal::ctrl_c;
use runtime::signal::unix::{Signal, SignalKind, signal};
use runtime::time::timeout;
use rustix::process::{Signal as Number, getpid, kill_process};

/// The time without a signal after which no further one comes.
const SILENCE: Duration = Duration::from_secs(1);

fn raise(signal: Number) {
    kill_process(getpid(), signal).unwrap();
}

/// Sends a signal to this thread, whose handler has run when this returns.
fn raise_here(signal: Number) {
    // SAFETY: raise(3) takes a number, and the signal has a handler.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

/// Returns a runtime whose clock moves as soon as no event is there.
fn paused() -> Runtime {
    let builder = Runtime::builder().start_paused(true);
    builder.advance_with_io(true).build().unwrap()
}

/// Returns true if the listener has received nothing.
fn is_quiet(signal: &mut Signal) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    signal.poll_recv(&mut cx).is_pending()
}

/// Runs `in_a_child` below, asserts that it reached its last line, and returns its exit status.
fn child(part: &str, prefix: &str) -> ExitStatus {
    let script = format!(r#"{prefix} exec "$0" --ignored --nocapture --exact in_a_child"#);
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(env::current_exe().unwrap());
    let output = command.env("PART", part).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(LAST_LINE), "{part}: {stderr}");
    output.status
}

const LAST_LINE: &str = "still running";

#[test]
#[ignore = "another test runs it in a child process"]
fn in_a_child() {
    let Ok(part) = env::var("PART") else {
        return;
    };
    // They are ignored in a process that a shell without job control started in the background,
    // and a shell cannot change that.
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: SIG_DFL is a valid disposition for both, and no other thread changes them.
        let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
        assert_ne!(before, libc::SIG_ERR);
    }
    let last = runtime::block_on(async {
        match &*part {
            "several" => {
                let mut first = signal(SignalKind::terminate()).unwrap();
                let mut second = signal(SignalKind::terminate()).unwrap();
                raise(Number::TERM);
                first.recv().await.unwrap();
                second.recv().await.unwrap();
                drop(first);
                raise(Number::TERM); // the second listener remains
                second.recv().await.unwrap();
                Number::TERM
            }
            "again" => {
                for _ in 0..3 {
                    let mut again = signal(SignalKind::terminate()).unwrap();
                    raise(Number::TERM);
                    again.recv().await.unwrap();
                }
                Number::TERM
            }
            "runtimes" => {
                let mut ours = signal(SignalKind::terminate()).unwrap();
                let theirs = thread::spawn(|| {
                    runtime::block_on(async {
                        let mut theirs = signal(SignalKind::terminate()).unwrap();
                        raise(Number::TERM);
                        theirs.recv().await.unwrap();
                    });
                });
                theirs.join().unwrap(); // its runtime is dropped
                ours.recv().await.unwrap();
                raise(Number::TERM);
                ours.recv().await.unwrap();
                Number::TERM
            }
            "ctrl_c" => {
                let interrupted = ctrl_c();
                raise(Number::INT);
                interrupted.await.unwrap();
                Number::INT
            }
            "ignored" => {
                let mut hangup = signal(SignalKind::hangup()).unwrap();
                raise(Number::HUP);
                hangup.recv().await.unwrap();
                Number::HUP
            }
            _ => panic!("unknown part {part:?}"),
        }
    });
    eprintln!("{LAST_LINE}");
    raise(last);
    if part == "ignored" {
        std::process::exit(42);
    }
    // Wait for the delivery of the signal.
    loop {
        thread::park();
    }
}

#[test]
fn dispositions_are_restored_when_the_last_listener_is_dropped() {
    assert_eq!(child("several", "").signal(), Some(15));
    assert_eq!(child("again", "").signal(), Some(15));
    assert_eq!(child("runtimes", "").signal(), Some(15));
    assert_eq!(child("ctrl_c", "").signal(), Some(2));
    // A signal that was ignored, as by nohup(1), is ignored again.
    assert_eq!(child("ignored", "trap '' HUP;").code(), Some(42));
}

#[runtime::test]
async fn ctrl_c_wakes_every_waiter_even_before_its_first_poll() {
    let _stays = signal(SignalKind::interrupt()).unwrap();
    let (first, second) = (ctrl_c(), ctrl_c());
    raise(Number::INT);
    first.await.unwrap();
    second.await.unwrap();

    let waiting = runtime::spawn(ctrl_c());
    runtime::task::yield_now().await;
    raise(Number::INT);
    waiting.await.unwrap().unwrap();

    // A signal is reported once, and not to later listeners.
    assert!(timeout(Duration::from_millis(1), ctrl_c()).await.is_err());
}

#[test]
fn signals_between_two_polls_are_reported_at_least_once_and_never_in_excess() {
    paused().block_on(async {
        let mut signals = signal(SignalKind::user_defined1()).unwrap();
        for _ in 0..3 {
            assert!(is_quiet(&mut signals));
            raise_here(Number::USR1);
            signals.recv().await.unwrap();
        }
        for _ in 0..3 {
            raise_here(Number::USR1);
        }
        signals.next().await.unwrap().unwrap();
        let mut more = 0;
        while timeout(SILENCE, signals.recv()).await.is_ok() {
            more += 1;
        }
        assert!(more <= 2, "{more}");
    });
}

#[test]
fn a_signal_reaches_the_listeners_of_all_runtimes() {
    let (ready, is_ready) = mpsc::channel();
    let threads = [(); 3].map(|()| {
        let ready = ready.clone();
        thread::spawn(move || {
            runtime::block_on(async move {
                let mut listeners = [(); 2].map(|()| signal(SignalKind::user_defined2()).unwrap());
                assert!(listeners.iter_mut().all(is_quiet));
                ready.send(()).unwrap();
                for listener in &mut listeners {
                    listener.recv().await.unwrap();
                }
            });
        })
    });
    for _ in &threads {
        is_ready.recv().unwrap();
    }
    raise(Number::USR2);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_full_socket_pair_blocks_no_handler_and_loses_no_later_signal() {
    let mut signals = signal(SignalKind::window_change()).unwrap();
    // More signals than a socket pair can hold.
    for _ in 0..10_000 {
        raise_here(Number::WINCH);
    }
    paused().block_on(async {
        signals.recv().await.unwrap();
        // After all pending signals another one is reported.
        while timeout(SILENCE, signals.recv()).await.is_ok() {}
        raise_here(Number::WINCH);
        signals.recv().await.unwrap();
    });
}

#[test]
fn listening_to_an_impossible_signal_is_an_error_with_its_name() {
    let impossible = [
        (libc_number(Number::KILL), "SIGKILL"),
        (libc_number(Number::STOP), "SIGSTOP"),
        (libc_number(Number::ILL), "SIGILL"),
        (libc_number(Number::FPE), "SIGFPE"),
        (libc_number(Number::SEGV), "SIGSEGV"),
        (0, "signal 0"),
        (-1, "signal -1"),
        (12_345, "signal 12345"),
    ];
    for (number, name) in impossible {
        let error = signal(SignalKind::from_raw(number)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let expected = format!("listen to {name}: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

fn libc_number(signal: Number) -> i32 {
    signal.as_raw()
}

#[test]
fn waiting_outside_a_runtime_is_an_error_that_names_the_signal() {
    let mut pipe = signal(SignalKind::pipe()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = pipe.poll_recv(&mut cx) else {
        panic!("expected an error");
    };
    assert!(
        error.to_string().starts_with("wait for SIGPIPE: "),
        "{error}"
    );
}

#[test]
fn a_signal_in_a_forked_child_before_exec_does_not_reach_the_parent() {
    // std calls this function between fork and exec.
    let mut signals = signal(SignalKind::alarm()).unwrap();
    let mut command = Command::new("true");
    raise_in_child(&mut command);
    assert!(command.status().unwrap().success());
    runtime::block_on(async {
        assert!(is_quiet(&mut signals));
        raise(Number::ALARM);
        signals.recv().await.unwrap();
    });
}

fn raise_in_child(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: pre_exec requires async-signal-safe calls; getpid and kill are, and nothing
    // allocates.
    unsafe { command.pre_exec(|| Ok(kill_process(getpid(), Number::ALARM)?)) };
}

/// The number of calls of the foreign handler, by signal number.
static CALLS: [AtomicUsize; 65] = [const { AtomicUsize::new(0) }; 65];

extern "C" fn count_call(number: libc::c_int) {
    CALLS[number as usize].fetch_add(1, Ordering::SeqCst);
}

/// Installs a signal handler without the runtime.
fn install_handler(kind: SignalKind) {
    let handler = count_call as extern "C" fn(libc::c_int);
    // SAFETY: the handler only adds to an atomic, which is async-signal-safe, and is a static item.
    let before = unsafe { libc::signal(kind.as_raw_value(), handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
}

/// Raises the signal on this thread, which handles it at once, and returns the number of calls of
/// the foreign handler.
fn calls_of_handler(kind: SignalKind) -> usize {
    let calls = &CALLS[kind.as_raw_value() as usize];
    let before = calls.load(Ordering::SeqCst);
    // SAFETY: raise takes an integer.
    assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0);
    calls.load(Ordering::SeqCst) - before
}

#[runtime::test]
async fn an_earlier_handler_is_also_called_and_restored_at_the_end() {
    let kind = SignalKind::from_raw(libc::SIGPROF);
    install_handler(kind);
    for _ in 0..2 {
        let mut listener = signal(kind).unwrap();
        assert_eq!(calls_of_handler(kind), 1);
        listener.recv().await.unwrap();
        drop(listener);
        assert_eq!(calls_of_handler(kind), 1);
    }
}

#[runtime::test]
async fn a_handler_installed_over_the_listener_is_kept() {
    let kind = SignalKind::from_raw(libc::SIGVTALRM);
    let mut first = signal(kind).unwrap();
    install_handler(kind);
    assert_eq!(calls_of_handler(kind), 1);
    assert!(
        is_quiet(&mut first),
        "the new handler replaces the listener"
    );
    drop(first);
    assert_eq!(calls_of_handler(kind), 1);
}

#[runtime::test]
async fn a_handler_installed_between_listeners_is_suspended_by_the_next_and_restored() {
    let kind = SignalKind::from_raw(libc::SIGXCPU);
    drop(signal(kind).unwrap());
    install_handler(kind);
    assert_eq!(calls_of_handler(kind), 1);
    let mut listener = signal(kind).unwrap();
    assert_eq!(calls_of_handler(kind), 0);
    listener.recv().await.unwrap();
    drop(listener);
    assert_eq!(calls_of_handler(kind), 1);
}
