//! Waiting for an executor on a thread that has none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::context;
use crate::error::JoinError;
use crate::handle::Handle;
use crate::park::{Park, ParkMode, ThreadPark, Unpark};

impl Handle {
    /// Runs a future on the executor's thread, and blocks the calling one until it has its output.
    ///
    /// The future goes there and is a task like every other one, so it and its output have to be
    /// `Send`. (That of tokio polls it where it is called. A socket or timer that had to wait there
    /// would be in no reactor, since only the executor's thread drives one.) It waits for as long
    /// as nobody runs the executor.
    ///
    /// # Errors
    /// The [`JoinError`] says that the future panicked, or that the executor is gone.
    ///
    /// # Panics
    /// On the thread of an executor, this one or another, which would be blocked: await
    /// [`spawn`](Handle::spawn) there. The threads of blocking jobs may be blocked.
    ///
    /// # Examples
    /// ```
    /// # use runtime_executor::{Executor, Config, Park, ThreadPark};
    /// # let park = ThreadPark::new();
    /// # let executor = Executor::new(park.unparker(), Config::new()).unwrap();
    /// let handle = executor.handle().clone();
    /// let asking = std::thread::spawn(move || handle.block_on(async { 6 * 7 }).unwrap());
    /// // Meanwhile this thread runs the executor.
    /// # let _entered = executor.enter();
    /// # while !asking.is_finished() {
    /// #     executor.run_ready();
    /// #     std::thread::yield_now();
    /// # }
    /// assert_eq!(asking.join().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn block_on<F>(&self, future: F) -> Result<F::Output, JoinError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        assert!(
            context::get().is_none(),
            "Handle::block_on was called inside a runtime, whose thread it would block: await \
             Handle::spawn instead"
        );
        let mut task = self.spawn(future);
        let park = ThreadPark::new();
        let waker = Waker::from(Arc::new(Unparks(park.unparker())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = Pin::new(&mut task).poll(&mut cx) {
                return output;
            }
            park.park(ParkMode::Block);
        }
    }
}

struct Unparks(Arc<dyn Unpark>);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
