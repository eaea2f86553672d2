//! Accepting connections of any kind, despite failed connections in the queue and a lack of
//! descriptors.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use runtime_reactor::Source;
use runtime_reactor::internal::Backlog;

use crate::backoff::{Retry, SharedBackoff};
use crate::sys::accept::{AcceptError, classify, is_unsupported};

/// The length of the queue of connections to accept. It is what the system allows by default since
/// Linux 5.4 (net.core.somaxconn); a system that allows fewer silently takes fewer, and an empty
/// place costs nothing. A short queue drops clients while `accept` backs off.
pub(crate) const BACKLOG: u32 = 4096;

/// The number of queued connections that may fail in a row before `accept` backs off: after that
/// many the cause is not the connections.
const MAX_CONSECUTIVE_ABORTS: u32 = 64;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor<L> {
    pub(crate) source: Source<L>,
    backlog: Backlog,
    /// For the tasks that call `poll_accept`; the others have a `Backoff` of their own.
    shared_backoff: SharedBackoff,
    /// The number of delays, of all tasks.
    backoffs: AtomicU64,
}

impl<L: AsFd> Acceptor<L> {
    pub(crate) fn new(source: Source<L>) -> Acceptor<L> {
        Acceptor {
            source,
            backlog: Backlog::default(),
            shared_backoff: SharedBackoff::default(),
            backoffs: AtomicU64::new(0),
        }
    }

    /// Accepts a connection with `accept`. Returns only errors of the listener itself.
    pub(crate) fn poll_accept<C>(
        &self,
        cx: &mut Context<'_>,
        backoff: &mut impl Retry,
        mut accept: impl FnMut(&L) -> io::Result<C>,
    ) -> Poll<io::Result<C>> {
        let mut aborts = 0;
        loop {
            ready!(backoff.poll_ready(cx))?;
            let error = match ready!(self.source.poll_accept(&self.backlog, cx, &mut accept)) {
                Ok(connection) => {
                    backoff.reset();
                    return Poll::Ready(Ok(connection));
                }
                Err(e) => e,
            };
            match classify(&error) {
                AcceptError::Connection if aborts < MAX_CONSECUTIVE_ABORTS => aborts += 1,
                AcceptError::Connection if is_unsupported(&error) => {
                    return Poll::Ready(Err(error));
                }
                AcceptError::Connection | AcceptError::Exhausted => {
                    self.backoffs.fetch_add(1, Ordering::Relaxed);
                    backoff.begin_delay();
                }
                AcceptError::Listener => return Poll::Ready(Err(error)),
            }
        }
    }

    /// [`poll_accept`](Acceptor::poll_accept) for a task that has no place to keep a backoff in.
    pub(crate) fn poll_accept_shared<C>(
        &self,
        cx: &mut Context<'_>,
        accept: impl FnMut(&L) -> io::Result<C>,
    ) -> Poll<io::Result<C>> {
        self.poll_accept(cx, &mut &self.shared_backoff, accept)
    }

    /// Accepts a connection without waiting.
    pub(crate) fn try_accept<C>(&self, accept: impl FnMut(&L) -> io::Result<C>) -> io::Result<C> {
        self.source.try_accept(&self.backlog, accept)
    }

    /// Returns the number of delays so far.
    pub(crate) fn backoffs(&self) -> u64 {
        self.backoffs.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::task::Waker;

    use runtime_reactor::Reactor;

    use super::*;
    use crate::error::with_context;

    #[test]
    fn a_listener_that_could_not_be_registered_for_lack_of_memory_is_tried_again() {
        let reactor = Reactor::new().unwrap();
        let _entered = reactor.enter();
        let acceptor = Acceptor::new(Source::new(TcpListener::bind("127.0.0.1:0").unwrap()));
        for (i, errno) in [libc::ENOMEM, libc::ENOSPC, libc::EMFILE]
            .into_iter()
            .enumerate()
        {
            let mut cx = Context::from_waker(Waker::noop());
            let mut backoff = crate::backoff::Backoff::default();
            let accepted = acceptor.poll_accept::<()>(&mut cx, &mut backoff, |_| {
                let error = io::Error::from_raw_os_error(errno);
                Err(with_context("cannot wait for descriptor 5", error))
            });
            assert!(accepted.is_pending(), "{accepted:?}");
            assert_eq!(acceptor.backoffs(), i as u64 + 1);
        }
    }
}
