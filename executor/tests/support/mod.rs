//! A loop over an executor, and the instruments that its tests read.

#![allow(dead_code, reason = "every test binary uses its own part of it")]

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime_executor::{Config, Executor, Park, ThreadPark};

/// An executor on this thread and what the thread sleeps in.
pub(crate) struct Loop {
    pub(crate) executor: Executor,
    pub(crate) park: ThreadPark,
}

impl Loop {
    pub(crate) fn new() -> Loop {
        Loop::with(Config::new())
    }

    pub(crate) fn with(options: Config) -> Loop {
        let park = ThreadPark::new();
        let executor = Executor::new(park.unparker(), options).unwrap();
        Loop { executor, park }
    }

    /// Runs the tasks until the future is over.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.executor.enter();
        let waker = self.executor.root_waker();
        let mut future = pin!(future);
        let mut woken = true;
        loop {
            if woken {
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(output) = polled {
                    return output;
                }
            }
            self.executor.run_ready();
            self.park.park(self.executor.park_mode(1));
            woken = self.executor.take_root_wake();
        }
    }

    /// Runs one batch, entered.
    pub(crate) fn batch(&self) -> usize {
        let _entered = self.executor.enter();
        self.executor.run_ready()
    }

    /// Runs batches until nothing is ready.
    pub(crate) fn settle(&self) {
        let _entered = self.executor.enter();
        for _ in 0..10_000 {
            self.executor.run_ready();
            if !self.executor.has_work() {
                return;
            }
        }
        panic!("the executor does not become idle");
    }
}

/// Waits for a future on a thread without an executor.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unparks(thread::Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls once.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Runs something on a thread of its own and waits for its end.
pub(crate) fn elsewhere<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(f).join() {
        Ok(output) => output,
        Err(payload) => std::panic::resume_unwind(payload),
    })
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn new() -> (Arc<CountingWaker>, Waker) {
        let counter = Arc::new(CountingWaker::default());
        (counter.clone(), counter.into())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A count that clones share.
#[derive(Clone, Default)]
pub(crate) struct Count(Rc<Cell<usize>>);

impl Count {
    pub(crate) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }
}

/// A count that threads share.
#[derive(Clone, Default)]
pub(crate) struct SharedCount(Arc<AtomicUsize>);

impl SharedCount {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

pub(crate) fn on_drop<F: FnOnce()>(f: F) -> OnDrop<F> {
    OnDrop(Some(f))
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// The text of a panic's payload.
pub(crate) fn text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// Aborts the process unless it is dropped in time: for tests whose failure is to hang.
pub(crate) struct Watchdog(#[allow(dead_code, reason = "its drop is the signal")] mpsc::Sender<()>);

pub(crate) fn watchdog() -> Watchdog {
    let (alive, dead) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("?").to_owned();
    thread::spawn(move || {
        if dead.recv_timeout(Duration::from_secs(240)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs");
            std::process::abort();
        }
    });
    Watchdog(alive)
}

/// Runs one test of this binary again, in a process of its own, which [`is_child`].
pub(crate) fn child(test: &str, env: &[(&str, &str)]) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("RUNTIME_TEST_CHILD", "1")
        .env("RUST_BACKTRACE", "0")
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

pub(crate) fn is_child() -> bool {
    std::env::var_os("RUNTIME_TEST_CHILD").is_some()
}

/// The place of the last panic of this thread.
fn last_place() -> &'static thread::LocalKey<Cell<String>> {
    thread_local!(static PLACE: Cell<String> = const { Cell::new(String::new()) });
    &PLACE
}

/// Returns the message and the place of a panic.
pub(crate) fn panic_of(f: impl FnOnce()) -> (String, String) {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            last_place().set(place.unwrap_or_default());
            before(info);
        }));
    });
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
    (text(&*payload).to_owned(), last_place().take())
}
