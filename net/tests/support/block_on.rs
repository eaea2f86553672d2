// The smallest runtime there is, for examples (which include this file) and tests.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use runtime_reactor::{Notifier, Reactor};

struct Woken(AtomicBool, Notifier);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        self.1.notify();
    }
}

/// Runs a future on a reactor of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    run(&Reactor::new().unwrap(), future)
}

/// Runs a future on `reactor`.
pub fn run<F: Future>(reactor: &Rc<Reactor>, future: F) -> F::Output {
    let _entered = reactor.enter();
    let woken = Arc::new(Woken(AtomicBool::new(true), reactor.notifier()));
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    loop {
        if woken.0.swap(false, Ordering::SeqCst) {
            let mut cx = Context::from_waker(&waker);
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
        reactor.turn(None).unwrap();
    }
}

/// Takes it as a success that select cannot tell of an end, where an example waits for one.
#[allow(dead_code, reason = "not every example waits for an end")]
pub fn but_on_select(e: std::io::Error) -> std::io::Result<()> {
    let on_select = std::env::var("RUNTIME_BACKEND").is_ok_and(|name| name == "select");
    match on_select && e.kind() == std::io::ErrorKind::Unsupported {
        true => Ok(()),
        false => Err(e),
    }
}
