//! A runtime as a guest of tokio (feature `tokio`).
//!
//! tokio's `current_thread` runtime runs, and this runtime is one future in it: [`Guest`]. It waits
//! for the reactor's descriptor with tokio's reactor and for the earliest deadline with tokio's
//! timer, so there is one thread, and one system call that blocks. Tasks of this runtime are polled
//! inside that future and so find tokio's context; tasks of tokio find this runtime, which is
//! entered as a guest.
//!
//! Rejected: a tokio runtime on a thread of its own, whose context this thread enters. That costs
//! the thread and a system call for each wake between the two, and tokio's tasks would not find
//! this runtime.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use runtime_executor::internal::Inspection;
use runtime_executor::{Config, Executor};
use runtime_reactor::{Reactor, internal};

use super::block_on::Runtime;
use super::host::{Host, HostUnparker};
use super::park_hooks::ParkHooks;
use super::seeded::Seeding;
use crate::driver::{Driver, POLLS_PER_TURN};
use crate::insight::{ClockOptions, Deadline, Observing, RootPoll};

/// A turn that takes fewer events than this has taken all of them: no backend that tokio can watch
/// has a smaller buffer.
const MANY_EVENTS: usize = 64;

impl Runtime {
    /// Creates a runtime that tokio drives.
    pub(super) fn hosted(
        driver: Driver,
        executor: Config,
        hooks: ParkHooks,
        observer: Option<Rc<dyn Observing>>,
        seeding: Option<Seeding>,
    ) -> io::Result<Runtime> {
        let unparker = Arc::new(HostUnparker::default());
        let host = Host::new(&driver.reactor, unparker.clone(), hooks)?;
        let executor = Executor::new(unparker, executor)?;
        let clock = ClockOptions {
            is_hosted: true,
            ..ClockOptions::default()
        };
        let mut runtime = Runtime::from_parts(executor, driver, observer, clock, seeding);
        runtime.host = Some(host);
        Ok(runtime)
    }

    /// Returns the handle of the tokio runtime, or `None` if this runtime was built [without
    /// one](crate::Builder::tokio).
    ///
    /// Tasks obtain it from `tokio::runtime::Handle::current`. This method is for spawning tokio's
    /// tasks before [`block_on`](Runtime::block_on).
    pub fn tokio_handle(&self) -> Option<&tokio::runtime::Handle> {
        self.host.as_ref().map(|host| host.tokio.handle())
    }

    /// Returns an error if tokio drives this runtime.
    pub(super) fn check_not_hosted(&self, what: &str) -> io::Result<()> {
        if self.host.is_none() {
            return Ok(());
        }
        let text = format!("{what} of a runtime that tokio drives: use block_on");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    /// Runs tasks until all are complete, at most until the deadline. Looks every few milliseconds.
    pub(super) fn drive_until_complete(&self, inspection: &Inspection, deadline: &Deadline) {
        let Some(host) = &self.host else {
            return;
        };
        let root = std::pin::pin!(async {
            while let Some(rest) = deadline.rest().filter(|_| inspection.live_count() > 0) {
                crate::time::sleep(rest.min(Duration::from_millis(5))).await;
            }
        });
        self.block_on_hosted(host, root);
    }

    /// Runs `root` as [`block_on`](Runtime::block_on) does, in the tokio runtime.
    pub(super) fn block_on_hosted<F: Future>(&self, host: &Host, root: Pin<&mut F>) -> F::Output {
        let _guest = self.executor.enter_as_guest();
        let root_waker = self.executor.root_waker();
        root_waker.wake_by_ref();
        // Unconstrained: the first task of each batch would use up a budget that all tasks share.
        let output = host.tokio.block_on(tokio::task::unconstrained(Guest {
            runtime: self,
            host,
            root,
            root_waker,
            timer: None,
        }));
        internal::set_host_runs(&self.driver.reactor, false);
        output
    }
}

pin_project! {
    /// A runtime as a future that tokio polls. It is ready when the future of `block_on` is.
    struct Guest<'a, F> {
        runtime: &'a Runtime,
        host: &'a Host,
        root: Pin<&'a mut F>,
        root_waker: Waker,
        // For the earliest deadline of the reactor.
        timer: Option<HostTimer>,
    }
}

struct HostTimer {
    deadline: Instant,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl<F: Future> Future for Guest<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (executor, reactor) = (&this.runtime.executor, &this.runtime.driver.reactor);
        this.host.unparker.set_waker(cx.waker());
        let _turn = Turn::begin(this.runtime);
        let (mut polled, mut may_have_more) = (0, false);
        loop {
            let root_woken = executor.take_root_wake();
            if root_woken {
                let mut cx = Context::from_waker(this.root_waker);
                let observer = this.runtime.observer.as_deref();
                let guard = observer.map(RootPoll::begin);
                let polled = this.root.as_mut().poll(&mut cx);
                drop(guard);
                if let Poll::Ready(output) = polled {
                    return Poll::Ready(output);
                }
            }
            // A batch in which nothing was polled has drained the inbox.
            polled += (this.runtime.run_batch() + usize::from(root_woken)).max(1);
            polled += executor.take_charged_polls();
            let has_work = executor.has_work();
            if polled >= POLLS_PER_TURN {
                // Lets tokio's tasks and its reactor run.
                turn(reactor);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if has_work && !reactor.wants_turn() {
                continue;
            }
            let due = has_work
                || reactor.wants_turn()
                || may_have_more
                || this.host.poll_events(cx)
                || poll_deadline(this.timer, reactor.next_deadline(), cx);
            if !due {
                return Poll::Pending;
            }
            may_have_more = turn(reactor) >= MANY_EVENTS;
        }
    }
}

/// Returns true if `deadline` has passed. Otherwise arranges for the guest to be polled once it
/// has.
fn poll_deadline(
    timer: &mut Option<HostTimer>,
    deadline: Option<Instant>,
    cx: &mut Context<'_>,
) -> bool {
    let Some(deadline) = deadline else {
        // A timer that is still armed may cause one spurious poll of the guest.
        return false;
    };
    let timer = timer.get_or_insert_with(|| HostTimer {
        deadline,
        sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
    });
    if timer.deadline != deadline {
        timer.deadline = deadline;
        timer.sleep.as_mut().reset(deadline.into());
    }
    timer.sleep.as_mut().poll(cx).is_ready()
}

/// Returns the number of events.
fn turn(reactor: &Reactor) -> usize {
    if let Err(e) = reactor.turn(Some(Duration::ZERO)) {
        panic!("the runtime can no longer wait for events: {e}");
    }
    internal::event_count(reactor)
}

/// One poll of the guest, during which requests of its tasks need not notify the host.
struct Turn<'a> {
    runtime: &'a Runtime,
    _executor: runtime_executor::EnterGuard,
}

impl Turn<'_> {
    fn begin(runtime: &Runtime) -> Turn<'_> {
        internal::set_host_runs(&runtime.driver.reactor, false);
        Turn {
            runtime,
            _executor: runtime.executor.enter(),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        internal::set_host_runs(&self.runtime.driver.reactor, true);
    }
}
