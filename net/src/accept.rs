//! Accepting connections, whatever they are: it goes on when one dies in the queue, and when the
//! process has run out of descriptors.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};

use crate::backoff::{Backoff, Backoffs};
use crate::sys::accept::{AcceptError, classify, is_unsupported};

/// How many clients may stand in the queue. It is as many as the system allows by default since
/// Linux 5.4 (net.core.somaxconn); a system that allows fewer silently takes fewer, and an empty
/// place costs nothing. A short queue drops clients while `accept` rests.
pub(crate) const BACKLOG: u32 = 4096;

/// So many connections may turn out dead one after the other before it is no longer believed that
/// it is the connections' fault, and `accept` rests.
const MAX_CONSECUTIVE_ABORTS: u32 = 64;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor<L> {
    pub(crate) source: Source<L>,
    backoffs: Backoffs,
}

impl<L: AsFd> Acceptor<L> {
    pub(crate) fn new(source: Source<L>) -> Acceptor<L> {
        Acceptor {
            source,
            backoffs: Backoffs::default(),
        }
    }

    /// Accepts with `accept`. An error is the listener's own.
    pub(crate) fn poll_accept<C>(
        &self,
        cx: &mut Context<'_>,
        backoff: &mut Backoff,
        mut accept: impl FnMut(&L) -> io::Result<C>,
    ) -> Poll<io::Result<C>> {
        let mut dead = 0;
        loop {
            ready!(backoff.poll_ready(cx))?;
            let error = match ready!(self.source.poll_io(Direction::Read, cx, &mut accept)) {
                Ok(connection) => {
                    backoff.reset();
                    return Poll::Ready(Ok(connection));
                }
                Err(e) => e,
            };
            match classify(&error) {
                AcceptError::Connection if dead < MAX_CONSECUTIVE_ABORTS => dead += 1,
                AcceptError::Connection if is_unsupported(&error) => {
                    return Poll::Ready(Err(error));
                }
                AcceptError::Connection | AcceptError::Exhausted => {
                    self.backoffs.total.fetch_add(1, Ordering::Relaxed);
                    backoff.begin();
                }
                AcceptError::Listener => return Poll::Ready(Err(error)),
            }
        }
    }

    /// [`poll_accept`](Acceptor::poll_accept) for a task that has no place to keep its rest in.
    pub(crate) fn poll_accept_shared<C>(
        &self,
        cx: &mut Context<'_>,
        accept: impl FnMut(&L) -> io::Result<C>,
    ) -> Poll<io::Result<C>> {
        let mut backoff = self.backoffs.take(cx);
        let accepted = self.poll_accept(cx, &mut backoff, accept);
        self.backoffs.keep(cx, backoff);
        accepted
    }

    /// How often it rested.
    pub(crate) fn backoffs(&self) -> u64 {
        self.backoffs.total.load(Ordering::Relaxed)
    }
}
