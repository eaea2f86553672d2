//! A runtime in somebody else's loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::time::{Duration, Instant};

use runtime_reactor::Backend;

use super::Runtime;
use crate::driver::POLLS_PER_TURN;

/// For a thread that has a loop already: that of a GUI, of a game, of a C library. It watches
/// [`pollable_fd`](Runtime::pollable_fd) beside its own descriptors, until [`next_deadline`](Runtime::next_deadline)
/// at the latest, and then calls [`turn`](Runtime::turn) with a limit of zero.
///
/// # Examples
/// The example `foreign_loop` is such a program. What its loop does each time:
/// ```
/// use std::time::{Duration, Instant};
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
///     wait_for_descriptors(runtime.pollable_fd()?, limit); // poll(2), say
///     runtime.turn(Some(Duration::ZERO))?;
/// }
/// # Ok(())
/// # }
/// ```
impl Runtime {
    /// Waits at most `limit` for something to happen (`None`: for as long as it takes; zero: not at
    /// all), then runs the tasks that are ready and those that these make ready, until nothing is or
    /// some 64 were polled: so the loop that calls it has its turn again soon. It does not wait while
    /// a task is ready.
    ///
    /// # Errors
    /// In a child of fork(2), that [`after_fork_child`](Runtime::after_fork_child) has to be called
    /// first. What the waiting system call says otherwise, which means that somebody closed the
    /// runtime's descriptor.
    ///
    /// # Panics
    /// If a runtime runs on this thread already, or as [`block_on`](Runtime::block_on) because of
    /// the panic of a detached task.
    #[track_caller]
    pub fn turn(&self, limit: Option<Duration>) -> io::Result<()> {
        let _entered = self.enter_exclusive("Runtime::turn", Location::caller());
        let limit = if self.has_ready_tasks() {
            Some(Duration::ZERO)
        } else {
            limit
        };
        self.driver.reactor.turn(limit)?;
        let mut polled = self.executor.run_ready();
        while polled < POLLS_PER_TURN && self.has_ready_tasks() {
            // A batch in which nothing was polled has read mail, and that must have an end too.
            polled += self.executor.run_ready().max(1);
        }
        if polled > 0 {
            self.flush_changes();
        }
        Ok(())
    }

    /// When [`turn`](Runtime::turn) should be called at the latest: when the earliest timer is due,
    /// or, while a task is ready, a moment that has passed. `None` if there is nothing to do before
    /// the [descriptor](Runtime::pollable_fd) shows it. It changes with everything that is done to the
    /// runtime on this thread, so ask last.
    ///
    /// # Complexity
    /// O(1), or O(log n) for each timer that was moved.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.has_ready_tasks() || self.driver.reactor.wants_turn() {
            let _entered = self.driver.reactor.enter();
            return Some(runtime_reactor::internal::now());
        }
        self.driver.reactor.next_deadline()
    }

    /// A descriptor that becomes readable when [`turn`](Runtime::turn) has something to do: a socket
    /// is ready, or another thread has woken or spawned a task. Timers do not show in it, nor what
    /// is spawned on this thread: see [`next_deadline`](Runtime::next_deadline). Nobody but the
    /// runtime may read from it.
    ///
    /// It is a duplicate, made by the first call and closed with the runtime. Not the trait `AsFd`,
    /// since making it can fail. From that call on a wake by another thread costs a system call
    /// even while this one is not waiting.
    ///
    /// # Errors
    /// When no descriptor is left, and `Unsupported` on a backend that has none to show.
    ///
    /// # Platform notes
    /// macOS cannot `poll(2)` a kqueue: use `select(2)` there, or another kqueue.
    pub fn pollable_fd(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_fd());
        }
        let fd = self.driver.reactor.pollable_fd()?;
        let fd = self.fd.get_or_init(|| fd);
        self.flush_changes();
        Ok(fd.as_fd())
    }

    /// The future of an earlier `block_on` is no task: that it was woken means nothing here.
    fn has_ready_tasks(&self) -> bool {
        self.executor.has_ready_tasks()
    }

    /// On kqueue what tasks register rides in the next wait; when that is not ours, since somebody
    /// watches the descriptor, it is made here. An error is for the next turn to tell.
    pub(super) fn flush_changes(&self) {
        if self.fd.get().is_some() && self.backend() == Backend::Kqueue {
            let _ = self.driver.reactor.turn(Some(Duration::ZERO));
        }
    }
}
