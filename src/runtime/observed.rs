//! The loop of a runtime that is observed, has hooks, or has a seed that decides its order.

use std::task::{Context, Poll};

#[cfg(feature = "sim")]
use runtime_executor::internal::run_ready_while;
use runtime_executor::{Park, ParkMode};
use runtime_reactor::internal::event_count;

use super::block_on::Runtime;
use super::park_hooks::ParkHooks;
use crate::insight::{ObservedRun, RootPoll};

impl Runtime {
    /// Runs the loop as `drive` does, reports each poll to the observer, and calls the hooks.
    pub(super) fn drive_with_options(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        let waker = self.executor.root_waker();
        let mut cx = Context::from_waker(&waker);
        waker.wake_by_ref();
        let observer = self.observer.as_deref();
        let _run = observer.map(ObservedRun::begin);
        loop {
            let root_woken = self.executor.take_root_wake();
            if root_woken {
                self.run_batch_before_root();
                let guard = observer.map(RootPoll::begin);
                let polled = poll(&mut cx);
                drop(guard);
                if polled.is_ready() {
                    return self.flush_changes();
                }
            }
            self.finish_observed_batch(usize::from(root_woken));
        }
    }

    /// Polls the ready tasks first if the seed says so.
    fn run_batch_before_root(&self) {
        if self.seeded.as_ref().is_some_and(|it| it.defers_root()) {
            self.run_batch();
        }
    }

    /// Polls the ready tasks and waits. `polled` is 1 if the root future was polled.
    fn finish_observed_batch(&self, polled: usize) {
        let polled = polled + self.run_batch();
        let observer = self.observer.as_deref();
        if let Some(observer) = observer {
            observer.end_batch(polled);
        }
        match self.executor.park_mode(polled) {
            ParkMode::Block => {
                if let Some(observer) = observer {
                    observer.begin_idle();
                }
                match &self.hooks {
                    Some(hooks) => self.park_with_hooks(hooks),
                    None => self.driver.park(ParkMode::Block),
                }
                if let Some(observer) = observer {
                    observer.end_idle(event_count(&self.driver.reactor));
                }
            }
            mode => self.driver.park(mode),
        }
    }

    fn park_with_hooks(&self, hooks: &ParkHooks) {
        if self.busy_poll.goes_on() {
            if self.driver.poll() {
                self.busy_poll.begin_again();
            }
            return;
        }
        hooks.before_park();
        // The hook may have made a task ready.
        self.driver.park(self.executor.park_mode(0));
        hooks.after_park();
    }

    /// Polls the ready tasks once, as [`Executor::run_ready`](runtime_executor::Executor) does, in
    /// the order of the seed if there is one.
    pub(super) fn run_batch(&self) -> usize {
        if let Some(seeded) = &self.seeded {
            seeded.shuffle(&self.executor);
        }
        match &self.observer {
            Some(observer) => observer.run_batch(&self.executor),
            None => self.executor.run_ready(),
        }
    }

    /// Polls the ready tasks once, in the order of the seed, as long as `goes_on` returns true.
    #[cfg(feature = "sim")]
    pub(super) fn run_batch_while(&self, goes_on: &dyn Fn() -> bool) -> usize {
        if let Some(seeded) = &self.seeded {
            seeded.shuffle(&self.executor);
        }
        run_ready_while(&self.executor, goes_on)
    }
}
