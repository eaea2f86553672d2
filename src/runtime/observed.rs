//! The loop of a runtime that is observed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime_executor::{Park, ParkMode};
use runtime_reactor::internal::event_count;

use super::block_on::Runtime;
use crate::insight::{ObservedRun, Observing, RootPoll};

impl Runtime {
    /// Runs the loop as `drive` does, and reports each poll to the observer.
    pub(super) fn drive_observed<F: Future>(
        &self,
        observer: &dyn Observing,
        mut root: Pin<&mut F>,
    ) -> F::Output {
        let waker = self.executor.root_waker();
        let mut cx = Context::from_waker(&waker);
        waker.wake_by_ref();
        let _run = ObservedRun::begin(observer);
        loop {
            let root_woken = self.executor.take_root_wake();
            if root_woken {
                let guard = RootPoll::begin(observer);
                let polled = root.as_mut().poll(&mut cx);
                drop(guard);
                if let Poll::Ready(output) = polled {
                    self.flush_changes();
                    return output;
                }
            }
            self.finish_observed_batch(observer, usize::from(root_woken));
        }
    }

    /// Polls the ready tasks and waits. `polled` is 1 if the root future was polled.
    fn finish_observed_batch(&self, observer: &dyn Observing, polled: usize) {
        let polled = polled + observer.run_batch(&self.executor);
        observer.end_batch(polled);
        match self.executor.park_mode(polled) {
            ParkMode::Block => {
                observer.begin_idle();
                match &self.hooks {
                    Some(hooks) => self.park_with_hooks(hooks),
                    None => self.driver.park(ParkMode::Block),
                }
                observer.end_idle(event_count(&self.driver.reactor));
            }
            mode => self.driver.park(mode),
        }
    }

    /// Polls the ready tasks once, as [`Executor::run_ready`](runtime_executor::Executor) does.
    pub(super) fn run_batch(&self) -> usize {
        match &self.observer {
            Some(observer) => observer.run_batch(&self.executor),
            None => self.executor.run_ready(),
        }
    }
}
