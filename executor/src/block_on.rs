//! `Handle::block_on`: waits for a runtime on a thread that has none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::context;
use crate::error::JoinError;
use crate::handle::Handle;
use crate::park::{Park, ParkMode, ThreadPark, Unpark};
use crate::task::is_large;

impl Handle {
    /// Runs a future on the runtime's thread, and blocks the calling thread until its output
    /// arrives.
    ///
    /// The future is sent there and becomes a task, so it and its output have to be `Send`. tokio
    /// polls it on the calling thread instead. Here a socket or timer would find no reactor on that
    /// thread. The call blocks for as long as the runtime is not running.
    ///
    /// # Errors
    /// Returns a [`JoinError`] if the future panicked or the runtime was dropped.
    ///
    /// # Panics
    /// Panics inside a runtime, which the call would block: await [`spawn`](Handle::spawn) there.
    /// The threads of blocking jobs may block. Panics on the thread that this runtime belongs to,
    /// because the runtime cannot run there while the call blocks.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let (done, is_done) = std::sync::mpsc::channel();
    /// std::thread::spawn(move || {
    ///     let answer = handle.block_on(async { 6 * 7 }).unwrap();
    ///     done.send(answer).unwrap();
    /// });
    /// // In the meantime this thread runs the runtime.
    /// let answer = runtime.block_on(async move {
    ///     runtime::spawn_blocking(move || is_done.recv()).await.unwrap()
    /// });
    /// assert_eq!(answer, Ok(42));
    /// # Ok(())
    /// # }
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
        let mut task = if const { is_large::<F>() } {
            self.spawn(Box::pin(future))
        } else {
            self.spawn(future)
        };
        if self.inbox().is_of_this_thread() && !task.is_finished() {
            task.abort();
            panic!(
                "Handle::block_on was called on the thread of its runtime, which cannot run while \
                 the call blocks: call Runtime::block_on instead"
            );
        }
        let park = ThreadPark::new();
        let waker = Waker::from(Arc::new(UnparkOnWake(park.unparker())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = Pin::new(&mut task).poll(&mut cx) {
                return output;
            }
            park.park(ParkMode::Block);
        }
    }
}

struct UnparkOnWake(Arc<dyn Unpark>);

impl Wake for UnparkOnWake {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
