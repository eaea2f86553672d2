//! Running a runtime inside another event loop on the same thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::time::Duration;

use runtime_reactor::Backend;

use super::block_on::Runtime;
use crate::driver::POLLS_PER_TURN;
use crate::time::Instant;

impl Runtime {
    /// Runs the reactor and the ready tasks once, for a thread that has an event loop of its own,
    /// such as that of a GUI, a game or a C library.
    ///
    /// The other loop waits for [`pollable_fd`](Runtime::pollable_fd) beside its own descriptors,
    /// at most until [`next_deadline`](Runtime::next_deadline), and then calls `turn` with a limit
    /// of zero.
    ///
    /// A turn waits at most `limit` for an event: not at all with zero, without limit with `None`.
    /// It does not wait while a task is ready. It then polls ready tasks, including tasks that
    /// become ready in the meantime, until none is ready or about 64 polls were made, so that the
    /// calling loop regains control soon.
    ///
    /// # Errors
    /// Returns `Other` in a child of fork(2) in which
    /// [`after_fork_child`](Runtime::after_fork_child) was not called. Returns the error of the
    /// waiting system call if the runtime's descriptor was closed by other code. Returns
    /// `Unsupported` if the runtime has tokio's context.
    ///
    /// # Panics
    /// Panics if a runtime already runs on this thread; if a detached task panicked and the
    /// [`PanicPolicy`](crate::PanicPolicy) is `Propagate` or `ShutDown`; if the runtime was shut
    /// down by such a panic earlier.
    ///
    /// # Examples
    /// The example `foreign_loop` is a complete program. One iteration of its loop:
    /// ```
    /// use runtime::time::{Duration, Instant};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # fn wait_for_descriptors(_: std::os::fd::BorrowedFd<'_>, limit: Option<Duration>) {
    /// #     std::thread::sleep(limit.unwrap());
    /// # }
    /// let runtime = runtime::Runtime::new()?;
    /// # if runtime.pollable_fd().is_err() {
    /// #     return Ok(()); // on poll or select
    /// # }
    /// let task = runtime.spawn(async { runtime::time::sleep(Duration::from_millis(20)).await });
    /// while !task.is_finished() {
    ///     let until = runtime.next_deadline();
    ///     let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
    ///     wait_for_descriptors(runtime.pollable_fd()?, limit); // such as poll(2)
    ///     runtime.turn(Some(Duration::ZERO))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn turn(&self, limit: Option<Duration>) -> io::Result<()> {
        let _entered = self.enter_exclusive("Runtime::turn", Location::caller());
        #[cfg(feature = "tokio")]
        self.check_not_hosted("Runtime::turn")?;
        let limit = if self.has_ready_tasks() {
            Some(Duration::ZERO)
        } else {
            limit
        };
        self.driver.reactor.turn(limit)?;
        self.run_batches(|| self.run_batch());
        Ok(())
    }

    /// Runs batches until no task is ready or about 64 polls were made.
    fn run_batches(&self, run_batch: impl Fn() -> usize) {
        let mut polled = run_batch() + self.executor.take_charged_polls();
        while polled < POLLS_PER_TURN && self.has_ready_tasks() {
            // A batch without a poll has drained the inbox, which counts too: the loop must end.
            polled += run_batch().max(1) + self.executor.take_charged_polls();
        }
        if polled > 0 {
            self.flush_changes();
        }
    }

    /// Makes a turn of a simulated host, which never waits, and polls no task once `is_alive`
    /// returns false.
    #[cfg(feature = "sim")]
    pub(crate) fn turn_simulated(&self, is_alive: &dyn Fn() -> bool) -> io::Result<()> {
        let _entered = self.enter_exclusive("World::run", Location::caller());
        let turn_reactor = || self.driver.reactor.turn(Some(Duration::ZERO));
        turn_reactor()?;
        self.run_batches(|| self.run_batch_while(is_alive));
        // A source that began to wait in this turn is registered by the next one, which must come
        // before time moves.
        turn_reactor()
    }

    /// Returns the instant at which [`turn`](Runtime::turn) must be called at the latest.
    ///
    /// That is the deadline of the earliest timer, or an instant that has passed if a task is
    /// ready. Returns `None` if no timer is armed and no task is ready; then the next call is due
    /// when the [descriptor](Runtime::pollable_fd) becomes readable.
    ///
    /// Every use of the runtime on this thread may change the deadline, so call this method last
    /// before waiting.
    ///
    /// # Complexity
    /// O(1), plus O(log n) for each timer that was postponed.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.has_ready_tasks() || self.driver.reactor.wants_turn() {
            let _entered = self.driver.reactor.enter();
            return Some(runtime_reactor::internal::now().into());
        }
        self.driver.reactor.next_deadline().map(Instant::from)
    }

    /// Returns a descriptor that becomes readable when a socket is ready, or when another thread
    /// wakes or spawns a task.
    ///
    /// Timers and tasks spawned on this thread do not make it readable; see
    /// [`next_deadline`](Runtime::next_deadline). It must not be read from.
    ///
    /// The descriptor is a duplicate, created by the first call and closed with the runtime. The
    /// method does not implement `AsFd`, because creating the descriptor can fail. After the first
    /// call, each wake from another thread costs a system call, even while this thread is not
    /// waiting.
    ///
    /// # Errors
    /// Returns `Unsupported` if the backend has no such descriptor (poll and select), or if the
    /// runtime has tokio's context. Returns the system's error if no descriptor is available
    /// (EMFILE, ENFILE).
    ///
    /// # Platform-specific behavior
    /// poll(2) cannot wait for a kqueue on macOS: use select(2) or another kqueue there.
    pub fn pollable_fd(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_fd());
        }
        #[cfg(feature = "tokio")]
        self.check_not_hosted("Runtime::pollable_fd")?;
        let fd = self.driver.reactor.pollable_fd()?;
        let fd = self.fd.get_or_init(|| fd);
        self.flush_changes();
        Ok(fd.as_fd())
    }

    /// Returns true if a task is ready. A woken root future of an earlier `block_on` does not
    /// count.
    fn has_ready_tasks(&self) -> bool {
        self.executor.has_ready_tasks()
    }

    /// Submits the registrations that kqueue otherwise defers to the next wait. Another loop waits
    /// for the descriptor, so that wait may not be ours. The next turn returns the error, if any.
    pub(super) fn flush_changes(&self) {
        if self.fd.get().is_some() && self.backend() == Backend::Kqueue {
            let _ = self.driver.reactor.turn(Some(Duration::ZERO));
        }
    }
}
