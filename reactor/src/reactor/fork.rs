//! A reactor in a child of fork(2).

use std::io;

use super::Reactor;
use crate::sys;
use crate::wake_list::wake_all;

impl Reactor {
    /// Whether this process is a fork of the one to which the reactor belongs. Then nothing can be
    /// registered and [`turn`](Reactor::turn) fails, until
    /// [`after_fork_child`](Reactor::after_fork_child). O(1), without a system call.
    pub fn is_forked(&self) -> bool {
        self.mailbox.is_forked()
    }

    /// Gives the child of a fork(2) a selector of its own, in which everything is registered that
    /// was in the parent's; timers and those who wait stay as they are. Does nothing in a process
    /// that the reactor belongs to already.
    ///
    /// A source that cannot be registered any more, because its descriptor was closed, gets that as
    /// its error when it next has to wait. Duplicates of the
    /// [descriptor](Reactor::pollable_fd) are of the parent's selector, and have to be made anew.
    ///
    /// The process must have had one thread when it was forked: a lock that another one held stays
    /// locked for ever in the child (pthread_atfork(3)).
    ///
    /// # Errors
    /// When there is no descriptor or memory left; then nothing has changed, and it may be called
    /// again.
    ///
    /// # Panics
    /// If a waker panics, after all the others have been called.
    ///
    /// # Complexity
    /// O(sources); on epoll a system call for each.
    pub fn after_fork_child(&self) -> io::Result<()> {
        if !self.is_forked() {
            return Ok(());
        }
        let fresh = sys::open(self.backend())?;
        self.mailbox.move_to_this_process(fresh.notifier());
        self.embedded.set(false);
        // The child's copies are closed; the parent keeps its own.
        drop(self.selector.replace(fresh));
        let mut woken = self.woken.borrow_mut();
        let mut queued = self.queued.borrow_mut();
        queued.clear();
        for registration in self.registrations.borrow_mut().iter_mut() {
            registration.is_added = false;
            queued.push(registration.scheduled.token);
        }
        drop(queued);
        self.flush_registrations(&mut woken);
        drop(woken);
        // Nothing is borrowed from here on: wakers are other people's code.
        wake_all(&self.woken);
        Ok(())
    }
}
