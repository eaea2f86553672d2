// The smallest runtime without a reactor, for examples, which include this file.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

use runtime_executor::{Executor, Config, Park, ThreadPark};

/// Runs a future, and the tasks it spawns in the meantime, on an executor of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let park = ThreadPark::new();
    let executor = Executor::new(park.unparker(), Config::new()).unwrap();
    let _entered = executor.enter();
    let waker = executor.root_waker();
    let mut future = pin!(future);
    waker.wake_by_ref();
    loop {
        if executor.take_root_wake() {
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
                return output;
            }
        }
        executor.run_ready();
        park.park(executor.park_mode(1));
    }
}
