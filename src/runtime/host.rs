//! The tokio runtime that drives a runtime (feature `tokio`).

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use runtime_executor::Unpark;
use runtime_reactor::Reactor;
use runtime_reactor::internal::with_context;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::park_hooks::ParkHooks;

/// The host of a runtime.
pub(super) struct Host {
    /// The reactor's descriptor. Dropped before the runtime in which it is registered.
    fd: AsyncFd<OwnedFd>,
    pub(super) unparker: Arc<HostUnparker>,
    pub(super) tokio: tokio::runtime::Runtime,
}

impl Host {
    /// Creates a tokio runtime that watches `reactor`.
    ///
    /// # Errors
    /// Returns `Unsupported` if the reactor has no descriptor to watch, and the system's error if
    /// no descriptor is available.
    pub(super) fn new(
        reactor: &Reactor,
        unparker: Arc<HostUnparker>,
        hooks: ParkHooks,
    ) -> io::Result<Host> {
        let fd = reactor.pollable_fd().map_err(|e| {
            let remedy = "tokio(true) needs a backend that tokio can watch, epoll or kqueue";
            with_context(remedy, e)
        })?;
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        tokio.enable_io().enable_time();
        tokio.thread_name("runtime-tokio-blocking");
        // It is tokio that waits.
        if let Some(hook) = hooks.on_park {
            tokio.on_thread_park(move || hook());
        }
        if let Some(hook) = hooks.on_unpark {
            tokio.on_thread_unpark(move || hook());
        }
        let tokio = tokio.build()?;
        let entered = tokio.enter();
        #[allow(
            deprecated,
            reason = "the other constructors are unsafe, for types that change their descriptor"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE);
        drop(entered);
        Ok(Host {
            fd: fd?,
            unparker,
            tokio,
        })
    }

    /// Returns true if the reactor has events. Otherwise arranges for the guest to be polled once
    /// it has.
    pub(super) fn poll_events(&self, cx: &mut Context<'_>) -> bool {
        match self.fd.poll_read_ready(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(mut ready)) => {
                // The turn that follows takes all events there are. One that comes after it makes
                // the descriptor readable again.
                ready.clear_ready();
                true
            }
            // tokio's reactor was shut down, which is impossible while tokio polls this.
            Poll::Ready(Err(e)) => panic!("tokio cannot watch the reactor any more: {e}"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// The unparker of a guest: it wakes the guest, so that tokio polls it.
#[derive(Default)]
pub(super) struct HostUnparker(Mutex<Option<Arc<Waker>>>);

impl HostUnparker {
    pub(super) fn set_waker(&self, waker: &Waker) {
        if self.get().is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        // Cloned before the lock is taken; the previous waker is dropped after it is released.
        let waker = Some(Arc::new(waker.clone()));
        let before = std::mem::replace(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            waker,
        );
        drop(before);
    }

    fn get(&self) -> Option<Arc<Waker>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Unpark for HostUnparker {
    fn unpark(&self) {
        // Without a waker the guest was never polled, and its first poll drains the inbox.
        if let Some(waker) = self.get() {
            waker.wake_by_ref();
        }
    }
}
