//! The services of the blocking pool for sockets: host name lookup, and reads of files that are not
//! in memory.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use runtime_executor::internal::spawn_blocking_named;
use runtime_executor::{Handle, JoinHandle};
use runtime_net::internal::{self, BlockingRead, ReadJob, Resolve};

use crate::sys::cached;

/// The system's resolver and the reading of files, on the blocking pool.
#[derive(Debug)]
pub(crate) struct BlockingResolver;

impl Resolve for BlockingResolver {
    fn resolve(
        &self,
        name: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>> {
        let lookup = move || internal::resolve_blocking(&name);
        Box::pin(Job::new(&Handle::current(), "look up a host name", lookup))
    }

    fn is_in_memory(&self, file: BorrowedFd<'_>, range: Range<u64>) -> bool {
        cached::can_send(file, range)
    }

    fn read_blocking(&self, job: ReadJob) -> Option<BlockingRead> {
        Some(Box::pin(Job::new(&Handle::try_current()?, "read", job)))
    }
}

/// The output of a job that is queued or runs. A queued job is canceled when this is dropped.
///
/// The pool runs all of them as one type of closure without an output, so that its code is there
/// once.
struct Job<T> {
    handle: JoinHandle<()>,
    output: Arc<Mutex<Option<io::Result<T>>>>,
}

impl<T: Send + 'static> Job<T> {
    fn new(
        handle: &Handle,
        name: &'static str,
        run: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Job<T> {
        let output = Arc::new(Mutex::new(None));
        let cell = output.clone();
        let run: Box<dyn FnOnce() + Send> = Box::new(move || {
            let output = run();
            *cell.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        });
        let handle = spawn_blocking_named(handle, name, run);
        Job { handle, output }
    }
}

impl<T> Future for Job<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(Pin::new(&mut self.handle).poll(cx))?;
        let output = self
            .output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Poll::Ready(output.expect("a job that was not canceled has an output"))
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_queued_lookup_is_canceled_when_its_future_is_dropped() {
        let runtime = crate::Runtime::builder()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (finish, finished) = mpsc::channel::<()>();
        let handle = runtime.handle();
        let busy = handle.spawn_blocking(move || finished.recv().is_err());
        let counted = Arc::new(());
        let kept = counted.clone();
        let mut lookup = Job::new(handle, "look up", move || {
            drop(kept);
            Ok(())
        });
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut lookup).poll(&mut cx).is_pending());
        drop(lookup);
        assert_eq!(Arc::strong_count(&counted), 1, "the job was dropped");
        drop(finish);
        assert!(runtime.block_on(busy).unwrap());
    }

    #[test]
    fn a_name_is_looked_up() {
        let found = crate::block_on(crate::net::lookup_host("localhost:7"));
        // /etc/hosts decides which of the loopback addresses are found, if any.
        assert!(found.unwrap().all(|addr| addr.ip().is_loopback()));
    }
}
