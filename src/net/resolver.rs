//! The services of the blocking pool for sockets: host name lookup, and reads of files that are not
//! in memory.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
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
        let handle = Handle::current();
        let lookup = spawn_blocking_named(&handle, "look up a host name", move || {
            internal::resolve_blocking(&name)
        });
        Box::pin(AbortOnDrop(lookup))
    }

    fn is_in_memory(&self, file: BorrowedFd<'_>, range: Range<u64>) -> bool {
        cached::can_send(file, range)
    }

    fn read_blocking(&self, job: ReadJob) -> Option<BlockingRead> {
        let job = spawn_blocking_named(&Handle::try_current()?, "read", job);
        Some(Box::pin(AbortOnDrop(job)))
    }
}

/// A queued lookup that is canceled when its future is dropped.
struct AbortOnDrop<T>(JoinHandle<io::Result<T>>);

impl<T: 'static> Future for AbortOnDrop<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx))?)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

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
        let lookup = handle.spawn_blocking(move || {
            drop(kept);
            Ok::<_, io::Error>(())
        });
        let mut lookup = AbortOnDrop(lookup);
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
