//! Ending a runtime with a report, and the types with which a program ends its tasks first.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime::insight::Wait;
use runtime::io::AsyncReadExt;
use runtime::net::UnixStream;
use runtime::task::{CancellationToken, Tracker};
use runtime::{Runtime, task, time};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_shutdown_waits_for_tasks_and_jobs_that_end() {
    let builder = Runtime::builder().name("clean").start_paused(true);
    let runtime = builder.build().unwrap();
    let (done, is_done) = channel();
    let job_done = done.clone();
    drop(runtime.spawn(async move {
        time::sleep(LONG / 2).await;
        drop(runtime::spawn_blocking(move || {
            job_done.send("job").unwrap();
        }));
        // A task may spawn others until the end.
        drop(runtime::spawn(async move { done.send("task").unwrap() }));
    }));
    let report = runtime.shutdown(LONG);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.waited, LONG / 2);
    let text = report.to_string();
    let begin = "runtime \"clean\": all tasks and blocking jobs were complete after ";
    assert!(text.starts_with(begin), "{text}");
    let mut ended: Vec<&str> = is_done.iter().collect();
    ended.sort_unstable();
    assert_eq!(ended, ["job", "task"]);
}

#[test]
fn a_shutdown_reports_what_is_not_complete_in_time_and_drops_it() {
    let runtime = Runtime::builder().name("stuck").build().unwrap();
    let (begin, has_begun) = channel();
    let (end, may_end) = channel::<()>();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let guard = Arc::new(());
    let held = guard.clone();
    runtime.block_on(async {
        let reading = task::Builder::new().name("reading");
        drop(reading.spawn(async move {
            let (_held, mut stream) = (held, ours);
            stream.read(&mut [0]).await
        }));
        drop(runtime::spawn_blocking(move || {
            begin.send(()).unwrap();
            let _ = may_end.recv();
        }));
        task::yield_now().await;
        has_begun.recv().unwrap();
    });
    let complete = runtime.spawn(async {});
    let report = runtime.shutdown(SHORT);
    assert!(!report.is_clean());
    assert!(report.waited >= SHORT);
    assert_eq!(report.tasks.len(), 1, "{report}");
    assert_eq!(report.tasks[0].name.as_deref(), Some("reading"));
    assert!(matches!(&report.tasks[0].waits[..], [Wait::Read(_)]));
    assert_eq!(report.jobs.len(), 1);
    assert!(report.jobs[0].running.is_some());
    assert_eq!(report.jobs[0].spawned_at.file(), file!());
    let sockets = report.descriptors.iter();
    assert!(
        sockets
            .map(|fd| &fd.description)
            .any(|text| text == "Unix stream")
    );
    let text = report.to_string();
    let begin = "runtime \"stuck\": 1 tasks and 1 blocking jobs were not complete after ";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.contains("\n    read on Unix stream (fd "), "{text}");
    assert!(text.contains(": running for "), "{text}");
    assert_eq!(Arc::strong_count(&guard), 1, "the task was dropped");
    drop((end, complete));
    let read = runtime::block_on(async { theirs.read(&mut [0]).await });
    assert_eq!(read.unwrap(), 0);
}

#[test]
fn a_shutdown_without_a_limit_polls_nothing() {
    let runtime = Runtime::new().unwrap();
    drop(runtime.spawn(async { panic!("polled") }));
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!(report.tasks.len(), 1);
}

#[test]
fn a_shutdown_drops_the_tasks_that_other_threads_spawn() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let (rejected, is_rejected) = channel();
    drop(runtime.spawn(async move {
        let other = thread::spawn(move || handle.block_on(async {}).is_err());
        while !other.is_finished() {
            task::yield_now().await;
        }
        rejected.send(other.join().unwrap()).unwrap();
    }));
    let report = runtime.shutdown(LONG);
    assert!(report.is_clean(), "{report}");
    assert!(is_rejected.recv().unwrap());
}

#[test]
fn a_shutdown_inside_a_runtime_panics() {
    let outer = Runtime::new().unwrap();
    let inner = Runtime::new().unwrap();
    let shutdown = AssertUnwindSafe(|| outer.block_on(async { inner.shutdown(LONG) }));
    let panic = catch_unwind(shutdown).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.starts_with("Runtime::shutdown was called at tests/shutdown.rs:"),
        "{text}"
    );
}

#[test]
fn a_server_that_is_canceled_ends_cleanly() {
    let runtime = Runtime::new().unwrap();
    let (token, connections) = (CancellationToken::new(), Tracker::new());
    runtime.block_on(async {
        for _ in 0..10 {
            let token = token.child_token();
            connections.spawn(async move { token.run_until_cancelled(pending::<()>()).await });
        }
        task::yield_now().await;
        assert_eq!(connections.len(), 10);
        token.cancel();
        connections.close();
        connections.wait().await;
    });
    assert!(runtime.shutdown(LONG).is_clean());
}

#[test]
fn a_token_is_canceled_from_another_thread() {
    let token = CancellationToken::new();
    let guard = token.clone().drop_guard();
    runtime::block_on(async {
        let mut cancelled = pin!(token.cancelled());
        let is_pending = poll_fn(|cx| Poll::Ready(cancelled.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
        let other = thread::spawn(move || drop(guard));
        cancelled.await;
        other.join().unwrap();
    });
    assert!(token.is_cancelled());
}

#[test]
fn dropped_children_of_a_token_do_not_pile_up() {
    let token = CancellationToken::new();
    let kept: Vec<_> = (0..100).map(|_| token.child_token()).collect();
    for _ in 0..10_000 {
        drop(token.child_token());
    }
    token.cancel();
    assert!(kept.iter().all(CancellationToken::is_cancelled));
}

#[test]
fn a_token_is_canceled_with_its_grandparent_after_its_parent_was_dropped() {
    let token = CancellationToken::new();
    let parent = token.child_token();
    let child = parent.child_token();
    drop(parent);
    token.cancel();
    assert!(child.is_cancelled());
}

#[test]
fn a_long_chain_of_tokens_is_canceled_and_dropped_without_a_long_stack() {
    let token = CancellationToken::new();
    let last = (0..100_000).fold(token.clone(), |last, _| last.child_token());
    drop((0..100_000).fold(token.clone(), |last, _| last.child_token()));
    token.cancel();
    assert!(last.is_cancelled());
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that panics.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        panic!("a waker failed");
    }
}

#[test]
fn a_waker_that_panics_keeps_no_other_waiter_from_being_woken() {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let (broken, counted) = (Waker::from(Arc::new(Broken)), Waker::from(count.clone()));
    let wakers = [&counted, &broken, &counted, &broken, &counted];
    let cause_panic = |event: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(event)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"a waker failed"));
        count.0.swap(0, Ordering::SeqCst)
    };

    let token = CancellationToken::new();
    let child = token.child_token();
    let mut waits: Vec<_> = [&token, &child]
        .into_iter()
        .flat_map(|token| wakers.map(|waker| (token.cancelled(), waker)))
        .collect();
    for (wait, waker) in &mut waits {
        assert!(
            Pin::new(wait)
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    assert_eq!(cause_panic(&|| token.cancel()), 6);
    assert!(child.is_cancelled());

    let tracker = Tracker::new();
    let tracked = Mutex::new(Some(tracker.track(async {})));
    let mut waits = wakers.map(|waker| (tracker.wait(), waker));
    for (wait, waker) in &mut waits {
        assert!(
            Pin::new(wait)
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    tracker.close();
    assert_eq!(cause_panic(&|| drop(tracked.lock().unwrap().take())), 3);
}

#[test]
fn a_waiter_that_was_woken_and_is_dropped_does_not_remove_a_later_one() {
    let tracker = Tracker::new();
    let poll = |wait: &mut task::Empty, waker: &Waker| {
        Pin::new(wait).poll(&mut Context::from_waker(waker))
    };
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let first = tracker.track(async {});
    tracker.close();
    let mut early = tracker.wait();
    assert!(poll(&mut early, Waker::noop()).is_pending());
    drop(first); // wakes the early one
    let second = tracker.track(async {});
    let mut late = tracker.wait();
    assert!(poll(&mut late, &waker).is_pending());
    drop(early);
    drop(second);
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "the late one is woken");
    assert!(poll(&mut late, &waker).is_ready());
}

#[test]
fn a_tracker_waits_until_it_is_closed_and_counts_a_task_that_panics() {
    runtime::block_on(async {
        let tracker = Tracker::new();
        let task = tracker.spawn(async { panic!("expected") });
        task.await.unwrap_err();
        assert!(tracker.is_empty() && !tracker.is_closed());
        let mut wait = pin!(tracker.wait());
        let is_pending = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
        tracker.close();
        wait.await;
    });
}
