//! Ending a runtime with a report.

use std::panic::Location;
use std::time::Duration;

use runtime_executor::internal::{Inspection, refuse_spawns, wait_for_jobs};
use runtime_executor::{Park, ParkMode};

use super::block_on::Runtime;
use crate::insight::{Deadline, ShutdownReport, report_shutdown};

impl Runtime {
    /// Runs the runtime until all its tasks and blocking jobs are complete, at most for `limit`,
    /// then drops it, and reports what was not complete.
    ///
    /// Tasks that other threads spawn in the meantime are dropped at once. Tasks that run can spawn
    /// others. With a limit of zero nothing is polled any more, as in a drop.
    ///
    /// Tasks that wait for something that does not come, such as the next connection, are not
    /// complete before the limit. A [`CancellationToken`](crate::task::CancellationToken) can end
    /// them first.
    ///
    /// After the limit the call waits for what a drop waits for: writes to files and standard
    /// streams that have returned `Ok`.
    ///
    /// # Panics
    /// Panics if a runtime already runs on this thread; if a detached task panicked and the
    /// [`PanicPolicy`](crate::PanicPolicy) is `Propagate` or `ShutDown`; if the runtime was shut
    /// down by such a panic earlier; if the system call that waits for events fails.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = runtime::Runtime::new()?;
    /// runtime.spawn(async { runtime::time::sleep(Duration::from_millis(1)).await });
    /// runtime.spawn(std::future::pending::<()>());
    /// let report = runtime.shutdown(Duration::from_millis(50));
    /// assert_eq!(report.tasks.len(), 1);
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn shutdown(self, limit: Duration) -> ShutdownReport {
        let entered = self.enter_exclusive("Runtime::shutdown", Location::caller());
        let deadline = Deadline::after(limit);
        let Some(inspection) = Inspection::current() else {
            unreachable!("the runtime was entered above");
        };
        refuse_spawns(&self.executor);
        if !self.driver.reactor.is_forked() {
            self.finish_tasks(&inspection, &deadline);
            if let Some(rest) = deadline.rest().filter(|_| inspection.live_count() == 0) {
                wait_for_jobs(&self.executor, rest);
            }
        }
        let report = report_shutdown(&inspection, &deadline);
        drop((inspection, entered));
        report
    }

    #[cfg(feature = "tokio")]
    fn finish_tasks(&self, inspection: &Inspection, deadline: &Deadline) {
        if self.host.is_none() {
            return self.finish_own_tasks(inspection, deadline);
        }
        // tokio has the loop, and does not report the end of a task.
        self.drive_until_complete(inspection, deadline);
    }

    #[cfg(not(feature = "tokio"))]
    fn finish_tasks(&self, inspection: &Inspection, deadline: &Deadline) {
        self.finish_own_tasks(inspection, deadline);
    }

    fn finish_own_tasks(&self, inspection: &Inspection, deadline: &Deadline) {
        while let Some(rest) = deadline.rest() {
            let polled = self.run_batch();
            if inspection.live_count() == 0 {
                return;
            }
            match self.executor.park_mode(polled) {
                ParkMode::Block => {
                    if let Err(e) = self.driver.reactor.turn(Some(rest)) {
                        panic!("the runtime can no longer wait for events: {e}");
                    }
                }
                mode => self.driver.park(mode),
            }
        }
    }
}
