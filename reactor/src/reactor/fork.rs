//! A reactor in a child of fork(2).

use std::io;

use super::Reactor;
use crate::sys;
use crate::wake_list::wake_all;

impl Reactor {
    /// Returns true if this process is a fork of the one to which the reactor belongs. Then nothing
    /// can be registered and [`turn`](Reactor::turn) fails, until
    /// [`after_fork_child`](Reactor::after_fork_child) is called. O(1), without a system call.
    pub fn is_forked(&self) -> bool {
        self.inbox.is_forked()
    }

    /// Gives the child of a fork(2) a selector of its own, in which all sources are registered.
    /// Timers and wakers stay as they are. Does nothing in a process that the reactor belongs to
    /// already.
    ///
    /// A source that cannot be registered any more, because its descriptor was closed, returns that
    /// error when it next has to wait. Duplicates of the [descriptor](Reactor::pollable_fd) belong
    /// to the parent's selector, and have to be created again.
    ///
    /// The process must have had one thread when it was forked: a lock that another thread held
    /// stays locked in the child (pthread_atfork(3)).
    ///
    /// # Errors
    /// Returns the system's error if no descriptor or memory is available. Then nothing has
    /// changed, and it may be called again.
    ///
    /// # Panics
    /// Panics if a waker panics, after all the others have been called.
    ///
    /// # Complexity
    /// O(sources); on epoll a system call for each.
    pub fn after_fork_child(&self) -> io::Result<()> {
        if !self.is_forked() {
            return Ok(());
        }
        #[cfg(feature = "sim")]
        if self.host().is_some() {
            let text = "the simulated kernel of this reactor stays in the parent of a fork";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let fresh = sys::open(self.backend())?;
        self.inbox.move_to_this_process(fresh.notifier());
        self.set_embedded(false);
        // The child's copies are closed; the parent keeps its own.
        drop(self.selector.replace(fresh));
        let mut woken = self.woken.borrow_mut();
        let mut queued = self.queued.borrow_mut();
        queued.clear();
        for registration in self.registrations.borrow_mut().iter_mut() {
            registration.is_added = false;
            if registration.waiters().is_level() {
                registration.scheduled.set_level(false);
                registration.waiters().set_level(false);
            }
            queued.push(registration.scheduled.token);
        }
        drop(queued);
        self.flush_registrations(&mut woken);
        drop(woken);
        // Nothing is borrowed from here on: wakers are foreign code.
        wake_all(&self.woken);
        Ok(())
    }
}
