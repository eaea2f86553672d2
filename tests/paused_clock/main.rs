//! A clock that is paused: it moves only when everything rests, from deadline to deadline.

mod edges;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::UnixStream;
use runtime::task::yield_now;
use runtime::time::{self, Duration, Instant, MissedTickBehavior, interval, sleep, timeout};
use runtime::{Backend, Builder, Runtime, spawn, spawn_blocking};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn paused() -> Runtime {
    Runtime::builder().start_paused(true).build().unwrap()
}

/// Returns the text of the panic of `run`.
fn panic_of<T>(run: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).err().expect("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast_ref::<&str>().expect("a text")).to_owned(),
    }
}

/// A list of what has happened, and when, in seconds.
#[derive(Clone, Default)]
struct Events(Rc<RefCell<Vec<(u64, &'static str)>>>);

impl Events {
    fn add(&self, start: Instant, what: &'static str) {
        self.0.borrow_mut().push((start.elapsed().as_secs(), what));
    }

    fn take(&self) -> Vec<(u64, &'static str)> {
        self.0.take()
    }
}

#[test]
fn on_every_backend_the_clock_jumps_to_each_deadline_in_order() {
    for &backend in Backend::available() {
        let builder = Runtime::builder().backend(backend).start_paused(true);
        let runtime = builder.build().unwrap();
        let events = Events::default();
        runtime.block_on(async {
            let start = Instant::now();
            for (seconds, what) in [(3, "third"), (1, "first"), (7200, "last"), (2, "second")] {
                let events = events.clone();
                spawn(async move {
                    sleep(seconds * SECOND).await;
                    events.add(start, what);
                });
            }
            sleep(3 * HOUR).await;
            assert_eq!(start.elapsed(), 3 * HOUR, "exactly, on {backend}");
        });
        let expected = [(1, "first"), (2, "second"), (3, "third"), (7200, "last")];
        assert_eq!(events.take(), expected, "{backend}");
    }
}

#[test]
fn advance_fires_what_lies_between_and_returns_when_all_rests() {
    paused().block_on(async {
        let events = Events::default();
        let (start, noted) = (Instant::now(), events.clone());
        spawn(async move {
            sleep(SECOND).await;
            noted.add(start, "woken");
            // Armed while the clock is on its way.
            sleep(SECOND).await;
            for _ in 0..100 {
                yield_now().await;
            }
            noted.add(start, "woken again");
            sleep(2 * SECOND).await;
            noted.add(start, "at the end");
            yield_now().await;
            noted.add(start, "after a yield");
            sleep(SECOND).await;
            noted.add(start, "too late");
        });
        time::advance(4 * SECOND).await;
        assert_eq!(start.elapsed(), 4 * SECOND);
        let expected = [
            (1, "woken"),
            (2, "woken again"),
            (4, "at the end"),
            (4, "after a yield"),
        ];
        assert_eq!(events.take(), expected);
    });
}

#[test]
fn advances_of_two_tasks_complete_in_the_order_of_their_ends() {
    paused().block_on(async {
        let events = Events::default();
        let (start, noted) = (Instant::now(), events.clone());
        let longer = spawn(async move {
            time::advance(3 * SECOND).await;
            noted.add(start, "longer");
        });
        yield_now().await;
        time::advance(SECOND).await;
        events.add(start, "shorter");
        longer.await.unwrap();
        assert_eq!(events.take(), [(1, "shorter"), (3, "longer")]);
    });
}

#[test]
fn an_advance_by_nothing_runs_everything_until_it_rests() {
    paused().block_on(async {
        let start = Instant::now();
        let task = spawn(async {
            for _ in 0..1_000 {
                yield_now().await;
            }
        });
        time::advance(Duration::ZERO).await;
        assert!(task.is_finished());
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

#[test]
fn an_advance_that_is_dropped_moves_nothing() {
    paused().block_on(async {
        let start = Instant::now();
        let limited = timeout(SECOND, time::advance(HOUR)).await;
        assert!(limited.is_err());
        assert_eq!(start.elapsed(), SECOND);
        time::advance(SECOND).await;
        assert_eq!(start.elapsed(), 2 * SECOND);
    });
}

#[test]
fn the_clock_stands_while_a_task_is_always_ready() {
    paused().block_on(async {
        let start = Instant::now();
        let fired = Rc::new(Cell::new(false));
        let noted = fired.clone();
        spawn(async move {
            sleep(Duration::from_nanos(1)).await;
            noted.set(true);
        });
        // Many turns of the reactor.
        for _ in 0..10_000 {
            yield_now().await;
        }
        assert_eq!((start.elapsed(), fired.get()), (Duration::ZERO, false));
        sleep(Duration::from_nanos(2)).await;
        assert!(fired.get());
    });
}

#[test]
fn a_poll_that_does_not_return_sees_no_deadline_pass() {
    paused().block_on(async {
        let mut sleep = pin!(sleep(Duration::from_nanos(1)));
        let mut polls = 0;
        let pending = poll_fn(|cx| {
            // Every 32nd of these polls reads the clock.
            while polls < 1_000 && sleep.as_mut().poll(cx).is_pending() {
                polls += 1;
            }
            Poll::Ready(polls)
        });
        assert_eq!(pending.await, 1_000);
    });
}

#[test]
fn the_clock_stands_while_a_blocking_job_runs() {
    paused().block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let start = Instant::now();
        let job = spawn_blocking(move || released.recv().unwrap());
        let timer = spawn(sleep(HOUR));
        // The job ends only after many turns without anything to do.
        let releaser = thread::spawn(move || {
            for _ in 0..100 {
                thread::yield_now();
            }
            release.send(()).unwrap();
        });
        job.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(!timer.is_finished());
        timer.await.unwrap();
        assert_eq!(start.elapsed(), HOUR);
        releaser.join().unwrap();
    });
}

/// The end of such a job wakes no task, and the reactor must notice it nevertheless.
#[test]
fn the_clock_moves_on_after_a_blocking_job_that_no_task_awaits() {
    for _ in 0..20 {
        paused().block_on(async {
            drop(spawn_blocking(thread::yield_now));
            let start = Instant::now();
            sleep(HOUR).await;
            assert_eq!(start.elapsed(), HOUR);
        });
    }
}

#[test]
fn the_clock_stands_while_a_task_waits_for_io() {
    paused().block_on(async {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut stream = UnixStream::from_std(ours).unwrap();
        let start = Instant::now();
        let (begin, begun) = mpsc::channel();
        let writer = thread::spawn(move || {
            begun.recv().unwrap();
            std::io::Write::write_all(&mut &theirs, b"x").unwrap();
            theirs
        });
        let reader = spawn(async move {
            let mut byte = [0];
            let read = timeout(SECOND, stream.read_exact(&mut byte)).await;
            read.map(|read| read.unwrap())
        });
        yield_now().await;
        begin.send(()).unwrap();
        reader
            .await
            .unwrap()
            .expect("the data come before the deadline");
        assert_eq!(start.elapsed(), Duration::ZERO);
        // The stream is gone, and so is the wait.
        sleep(HOUR).await;
        drop(writer.join().unwrap());
    });
}

#[test]
fn an_explicit_advance_is_not_kept_by_io() {
    paused().block_on(async {
        let (mut ours, _theirs) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let reader = spawn(async move {
            let mut byte = [0];
            timeout(SECOND, ours.read_exact(&mut byte)).await.is_err()
        });
        time::advance(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
        assert!(reader.await.unwrap());
    });
}

#[test]
fn with_the_option_the_clock_moves_past_io_that_is_not_ready() {
    let builder = Runtime::builder().start_paused(true).advance_with_io(true);
    builder.build().unwrap().block_on(async {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let client = spawn(async move {
            let mut bytes = [0; 2];
            for byte in &mut bytes {
                let received = timeout(HOUR, ours.read_exact(std::slice::from_mut(byte))).await;
                received
                    .expect("the data come before the deadline")
                    .unwrap();
            }
            let idle = timeout(HOUR, ours.read_exact(&mut [0])).await;
            (bytes, idle.is_err(), start.elapsed())
        });
        theirs.write_all(b"a").await.unwrap();
        sleep(HOUR - SECOND).await;
        theirs.write_all(b"b").await.unwrap();
        let (bytes, timed_out, passed) = client.await.unwrap();
        assert_eq!((&bytes, timed_out), (b"ab", true));
        assert_eq!(passed, 2 * HOUR - SECOND);
    });
}

#[test]
fn an_interval_ticks_by_the_paused_clock() {
    paused().block_on(async {
        let start = Instant::now();
        let mut ticks = interval(SECOND);
        for n in 0..5 {
            assert_eq!(ticks.tick().await, start + n * SECOND);
            assert_eq!(start.elapsed(), n * SECOND);
        }
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        time::advance(3 * SECOND + SECOND / 2).await;
        assert_eq!(ticks.tick().await, start + 5 * SECOND, "the late one");
        assert_eq!(ticks.tick().await, start + 8 * SECOND);
    });
}

#[test]
fn a_timeout_of_something_that_never_comes_takes_exactly_its_limit() {
    paused().block_on(async {
        let start = Instant::now();
        assert!(timeout(24 * HOUR, pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), 24 * HOUR);
        assert!(timeout(Duration::MAX, sleep(HOUR)).await.is_ok());
    });
}

#[test]
fn the_clock_stands_between_two_calls_and_the_thread_has_that_of_the_system() {
    let runtime = paused();
    let system = std::time::Instant::now();
    let first = runtime.block_on(async {
        sleep(HOUR).await;
        Instant::now()
    });
    assert!(Instant::now() < first, "outside it is that of the system");
    assert!(Instant::now() >= system.into());
    assert_eq!(runtime.block_on(async { Instant::now() }), first);
}

#[test]
fn a_resumed_clock_goes_on_from_where_it_stood() {
    Runtime::new().unwrap().block_on(async {
        time::pause();
        let start = Instant::now();
        sleep(HOUR).await;
        time::resume();
        assert!(start.elapsed() >= HOUR);
        let resumed = Instant::now();
        sleep(Duration::from_millis(3)).await;
        assert!(resumed.elapsed() >= Duration::from_millis(3));
        // It can be paused again.
        time::pause();
        let again = Instant::now();
        assert!(again >= resumed);
        sleep(HOUR).await;
        assert_eq!(again.elapsed(), HOUR);
    });
}

#[test]
fn resuming_ends_an_advance() {
    paused().block_on(async {
        let task = spawn(async { time::advance(HOUR).await });
        // Keeps the clock from moving.
        let job = spawn_blocking(|| ());
        yield_now().await;
        time::resume();
        task.await.unwrap();
        job.await.unwrap();
    });
}

#[test]
fn a_panic_inside_leaves_the_thread_with_the_clock_of_the_system() {
    let runtime = paused();
    let before = std::time::Instant::now();
    let text = panic_of(|| {
        runtime.block_on(async {
            sleep(HOUR).await;
            panic!("on purpose");
        })
    });
    assert_eq!(text, "on purpose");
    let now = Instant::now();
    assert!(Instant::from(before) <= now && now < Instant::from(before) + HOUR / 2);
}

#[test]
fn each_runtime_of_a_thread_has_its_own_clock() {
    let (stopped, running) = (paused(), Runtime::new().unwrap());
    let before = stopped.block_on(async { Instant::now() });
    stopped.block_on(async {
        time::advance(HOUR).await;
        let entered = running.enter();
        assert!(Instant::now() < before + HOUR, "that of the inner runtime");
        drop(entered);
        assert_eq!(Instant::now(), before + HOUR);
        let entered = stopped.enter();
        time::advance(HOUR).await;
        drop(entered);
        assert_eq!(Instant::now(), before + 2 * HOUR, "it moved in between");
    });
    running.block_on(async {
        assert!(Instant::now() < before + HOUR);
        let entered = stopped.enter();
        assert_eq!(Instant::now(), before + 2 * HOUR);
        drop(entered);
        assert!(Instant::now() < before + HOUR);
    });
}

#[test]
fn a_timer_of_a_paused_runtime_does_not_pass_by_the_clock_of_another_thread() {
    let runtime = paused();
    let (to_thread, timers) = mpsc::channel();
    let (polled, was_polled) = mpsc::channel();
    let other = thread::spawn(move || {
        let mut timer: std::pin::Pin<Box<time::Sleep>> = timers.recv().unwrap();
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        let is_pending = (0..100).all(|_| timer.as_mut().poll(&mut cx).is_pending());
        polled.send(is_pending).unwrap();
        timer
    });
    runtime.block_on(async {
        // Due by the clock of the system when the other thread polls it.
        let mut timer = Box::pin(sleep(Duration::from_nanos(1)));
        poll_fn(|cx| {
            assert!(timer.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        to_thread.send(timer).unwrap();
        assert!(was_polled.recv().unwrap());
    });
    drop(other.join().unwrap());
}

#[test]
fn a_message_of_another_thread_comes_before_the_clock_moves() {
    for _ in 0..50 {
        paused().block_on(async {
            let handle = runtime::Handle::current();
            let start = Instant::now();
            // Joined at once, so the message is there before everything rests.
            let task = thread::spawn(move || handle.spawn(async { Instant::now() }));
            let task = task.join().unwrap();
            let timer = spawn(sleep(HOUR));
            assert_eq!(task.await.unwrap(), start);
            assert!(!timer.is_finished());
        });
    }
}

#[test]
fn a_turn_moves_the_clock_by_its_limit_at_most() {
    let runtime = paused();
    let now = || runtime.block_on(async { Instant::now() });
    let start = now();
    let task = runtime.spawn(async { sleep(HOUR).await });
    runtime.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(now(), start);
    runtime.turn(Some(SECOND)).unwrap();
    assert_eq!(now(), start + SECOND);
    runtime.turn(None).unwrap();
    assert_eq!((now(), task.is_finished()), (start + HOUR, true));
}

#[test]
fn a_shutdown_takes_no_time() {
    let runtime = paused();
    runtime.spawn(async { sleep(SECOND).await });
    runtime.spawn(pending::<()>());
    let report = runtime.shutdown(HOUR);
    assert_eq!((report.tasks.len(), report.waited), (1, HOUR));
}

#[test]
fn another_thread_may_wake_a_task_although_nothing_else_is_left() {
    paused().block_on(async {
        let (wake, woken) = async_channel::bounded(1);
        let other = thread::spawn(move || {
            thread::yield_now();
            wake.send_blocking(7).unwrap();
        });
        assert_eq!(woken.recv().await, Ok(7));
        other.join().unwrap();
    });
}

#[test]
#[allow(
    clippy::redundant_closure,
    reason = "the location of the caller is part of the text"
)]
fn misuse_is_a_panic_that_says_what_to_do() {
    let outside = panic_of(|| time::pause());
    assert!(
        outside.contains("time::pause was called at tests/paused_clock/main.rs"),
        "{outside}"
    );
    assert!(
        outside.ends_with("outside a runtime: call it in a task"),
        "{outside}"
    );
    let outside = panic_of(|| time::resume());
    assert!(outside.contains("time::resume was called"), "{outside}");
    assert!(
        outside.ends_with("outside a runtime: call it in a task"),
        "{outside}"
    );
    let outside = panic_of(|| drop(time::advance(SECOND)));
    assert!(
        outside.ends_with("outside a runtime: call it in a task"),
        "{outside}"
    );

    Runtime::new().unwrap().block_on(async {
        for text in [
            panic_of(|| time::resume()),
            panic_of(|| drop(time::advance(SECOND))),
        ] {
            let remedy = "and the clock is not paused: call time::pause first";
            assert!(text.ends_with(remedy), "{text}");
        }
        time::pause();
        let twice = panic_of(|| time::pause());
        let reason = "and the clock is paused already, at tests/paused_clock/main.rs";
        assert!(twice.contains(reason), "{twice}");
    });
    paused().block_on(async {
        let twice = panic_of(|| time::pause());
        assert!(twice.contains("paused already"), "{twice}");
    });
}

/// The default of the option is false also where it is set twice.
#[test]
fn the_last_call_of_an_option_counts() {
    let builder: Builder = Runtime::builder().start_paused(true).start_paused(false);
    let runtime = builder.build().unwrap();
    runtime.block_on(async { panic_of(|| time::resume()) });
}

#[cfg(feature = "tokio")]
#[test]
#[allow(
    clippy::redundant_closure,
    reason = "the location of the caller is part of the text"
)]
fn a_runtime_with_tokios_context_rejects_a_paused_clock() {
    let builder = Runtime::builder().backend(Backend::available()[0]);
    let error = builder
        .clone()
        .tokio(true)
        .start_paused(true)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(
        error
            .to_string()
            .contains("start_paused was set at tests/paused_clock/main.rs"),
        "{error}"
    );
    let runtime = builder.tokio(true).build().unwrap();
    let text = runtime.block_on(async { panic_of(|| time::pause()) });
    assert!(text.ends_with("its clock is tokio's"), "{text}");
}
