//! Runtimes that are observed: counters, long polls, and the dump that a signal requests.

mod support;

use std::future::pending;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

use runtime::insight::{Metrics, Stall};
use runtime::signal::unix::SignalKind;
use runtime::{Runtime, task, time};

const THRESHOLD: Duration = Duration::from_millis(20);

/// Returns a runtime that sends its stalls.
fn watched() -> (Runtime, Receiver<Stall>) {
    let (sender, stalls) = channel();
    let builder = Runtime::builder().name("watched");
    let builder = builder.on_stall(THRESHOLD, move |stall| drop(sender.send(stall.clone())));
    (builder.build().unwrap(), stalls)
}

fn metrics_of(runtime: &Runtime) -> Metrics {
    runtime.handle().metrics().wait(Duration::ZERO).unwrap()
}

#[test]
fn a_task_that_spins_is_named_while_it_spins_and_when_it_has_ended() {
    let (runtime, stalls) = watched();
    let (first, id) = runtime.block_on(async move {
        let spinning = async move {
            let begin = Instant::now();
            loop {
                // It spins until the report has come, so the report came while it spun.
                if let Ok(stall) = stalls.try_recv() {
                    let ratio = begin.elapsed().as_secs_f64() / THRESHOLD.as_secs_f64();
                    println!("named after {ratio:.2} times the threshold");
                    return (stall, stalls);
                }
            }
        };
        let task = task::Builder::new().name("spinning").spawn(spinning);
        let id = task.id();
        (task.await.unwrap(), id)
    });
    let (first, stalls) = first;
    assert!(!first.is_over);
    assert!(first.duration >= THRESHOLD);
    let last = stalls.recv().unwrap();
    assert!(last.is_over);
    assert!(last.duration >= first.duration);
    for stall in [&first, &last] {
        assert_eq!(stall.task, Some(id));
        assert_eq!(stall.name.as_deref(), Some("spinning"));
        assert_eq!(stall.spawned_at.unwrap().file(), file!());
        assert_eq!(stall.runtime.as_deref(), Some("watched"));
    }
    if cfg!(target_os = "linux") {
        assert_eq!(first.thread.as_deref(), Some("running"));
    }
    let text = first.to_string();
    let begin = format!(
        "runtime \"watched\": task {id} \"spinning\", spawned at {}:",
        file!()
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(
        text.contains(" has kept the thread from all other tasks for "),
        "{text}"
    );
    let metrics = metrics_of(&runtime);
    assert_eq!((metrics.stalls, metrics.longest_stall), (1, last.duration));
}

#[test]
fn the_future_of_block_on_that_sleeps_is_named_with_the_state_of_the_thread() {
    let (runtime, stalls) = watched();
    let stall = runtime.block_on(async move { stalls.recv().unwrap() });
    assert_eq!((stall.task, stall.is_over), (None, false));
    let text = stall.to_string();
    assert!(
        text.starts_with("runtime \"watched\": the future of block_on has kept"),
        "{text}"
    );
    if cfg!(target_os = "linux") {
        assert!(
            stall
                .thread
                .unwrap()
                .starts_with("sleeping in system call ")
        );
    }
}

#[test]
fn a_callback_that_panics_is_called_for_the_next_stall() {
    let (sender, stalls) = channel();
    let callback = move |stall: &Stall| {
        sender.send(stall.is_over).unwrap();
        panic!("this callback panics");
    };
    let runtime = Runtime::builder()
        .on_stall(THRESHOLD, callback)
        .build()
        .unwrap();
    for _ in 0..2 {
        // The poll lasts until it was reported.
        runtime.block_on(async { assert!(!stalls.recv().unwrap()) });
        assert!(stalls.recv().unwrap());
    }
}

#[test]
fn a_callback_that_blocks_holds_up_neither_the_tasks_nor_the_drop() {
    let (begin, has_begun) = channel();
    let (end, may_end) = channel::<()>();
    let may_end = Mutex::new(may_end);
    let callback = move |_: &Stall| {
        let _ = begin.send(());
        let _ = may_end.lock().unwrap().recv();
    };
    let runtime = Runtime::builder()
        .on_stall(THRESHOLD, callback)
        .build()
        .unwrap();
    runtime.block_on(async { has_begun.recv().unwrap() });
    let task = runtime.spawn(task::yield_now());
    runtime.block_on(task).unwrap();
    drop(runtime);
    drop(end);
}

#[test]
fn a_poll_that_panics_ends_for_the_observer() {
    let (runtime, stalls) = watched();
    let task = runtime.spawn(async { panic!("expected") });
    assert!(runtime.block_on(task).unwrap_err().is_panic());
    let root = std::panic::catch_unwind(|| runtime.block_on(async { panic!("expected") }));
    assert!(root.is_err());
    // Printing a panic may take long enough for a report. But were one of those polls still noted,
    // the next one could not be reported as a poll of its own.
    runtime.block_on(async {
        let next = async move { while stalls.recv().unwrap().name.as_deref() != Some("next") {} };
        let task = task::Builder::new().name("next").spawn(next);
        task.await.unwrap();
    });
}

#[test]
fn the_watching_thread_ends_with_its_runtime() {
    let before = support::threads();
    let runtimes: Vec<Runtime> = (0..20).map(|_| watched().0).collect();
    drop(runtimes);
    // Other tests may have threads that end, but they start no twenty.
    while support::threads() >= before + 20 {
        thread::yield_now();
    }
}

#[test]
fn a_runtime_that_tracks_its_tasks_knows_their_polls_and_age() {
    let runtime = Runtime::builder().track_tasks(true).build().unwrap();
    runtime.block_on(async {
        let busy = runtime::spawn(async {
            for _ in 0..6 {
                task::yield_now().await;
            }
            pending::<()>().await;
        });
        let asking = task::Builder::new().name("asking");
        let asking = asking.spawn(async {
            for _ in 0..10 {
                task::yield_now().await;
            }
            task::all()
        });
        let id = asking.id();
        let tasks = asking.await.unwrap();
        let find = |id| tasks.tasks.iter().find(|task| task.id == id).unwrap();
        assert_eq!(find(busy.id()).polls, Some(7));
        assert!(find(busy.id()).age.is_some());
        // The task that asks is known to the observer.
        assert_eq!(find(id).polls, Some(11));
        assert_eq!(find(id).name.as_deref(), Some("asking"));
        assert_eq!(find(id).spawned_at.unwrap().file(), file!());
        let new = runtime::spawn(async {});
        let tasks = task::all();
        let found = tasks.tasks.iter().find(|task| task.id == new.id()).unwrap();
        assert_eq!((found.polls, found.age), (Some(0), None));
    });
}

#[test]
fn the_longest_poll_of_each_task_is_listed() {
    const SPIN: Duration = Duration::from_millis(5);
    let runtime = Runtime::builder().track_tasks(true).build().unwrap();
    runtime.block_on(async {
        let slow = runtime::spawn(async {
            task::yield_now().await;
            let begin = Instant::now();
            while begin.elapsed() < SPIN {}
            task::yield_now().await;
            let first = task::all().tasks[0].timing.unwrap();
            assert!(first.longest_poll >= SPIN);
            pending::<()>().await;
        });
        let new = runtime::spawn(async { task::all().tasks[1].timing.unwrap() });
        let first_poll = new.await.unwrap();
        assert_eq!((first_poll.polled, first_poll.idle), Default::default());
        while task::all().tasks[0].polls < Some(3) {
            task::yield_now().await;
        }
        let new = runtime::spawn(async {});
        let tasks = task::all();
        let find = |id| tasks.tasks.iter().find(|task| task.id == id).unwrap();
        let timing = find(slow.id()).timing.unwrap();
        assert!(timing.longest_poll >= SPIN, "{timing:?}");
        assert!(timing.polled >= timing.longest_poll, "{timing:?}");
        let earlier = timing.idle;
        let later = task::all().tasks[0].timing.unwrap();
        assert!(later.idle >= earlier);
        assert_eq!(find(new.id()).timing, None);
    });
    let runtime = Runtime::builder()
        .on_stall(Duration::from_secs(3600), |_| {})
        .build()
        .unwrap();
    runtime.block_on(async {
        runtime::spawn(pending::<()>());
        task::yield_now().await;
        assert_eq!(task::all().tasks[0].timing, None, "no clock is read");
    });
}

#[test]
fn a_slot_that_is_used_again_does_not_keep_the_polls_of_the_earlier_task() {
    let runtime = Runtime::builder().track_tasks(true).build().unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            let task = runtime::spawn(async { task::all().tasks[0].polls });
            assert_eq!(task.await.unwrap(), Some(1));
        }
    });
}

#[test]
fn counters_of_tasks_timers_and_jobs_are_exact() {
    let runtime = Runtime::new().unwrap();
    let before = metrics_of(&runtime);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..5).map(|_| runtime::spawn(async {})).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let failing = runtime::spawn(async { panic!("expected") });
        failing.await.unwrap_err();
        let aborted = runtime::spawn(pending::<()>());
        aborted.abort();
        aborted.await.unwrap_err();
        time::sleep(Duration::from_millis(1)).await;
        let dropped = time::timeout(Duration::from_secs(60), task::yield_now());
        dropped.await.unwrap();
        runtime::spawn_blocking(|| ()).await.unwrap();
        let handle = runtime::Handle::current();
        let remote = thread::spawn(move || handle.spawn(async {}));
        remote.join().unwrap().await.unwrap();
    });
    let live = runtime.spawn(pending::<()>());
    let after = metrics_of(&runtime);
    let between = &after - &before;
    assert_eq!(between.tasks_spawned, 5 + 1 + 1 + 1 + 1);
    assert_eq!((between.tasks_finished, between.tasks), (8, 1));
    assert_eq!((between.tasks_panicked, between.tasks_aborted), (1, 1));
    assert_eq!(between.polls, 5 + 1 + 1);
    assert_eq!(
        (between.timers_armed, between.timers_fired, between.timers),
        (2, 1, 0)
    );
    assert_eq!(between.jobs_submitted, 1);
    assert_eq!(between.jobs_queued, 0);
    assert!(between.turns >= 1);
    assert!(between.elapsed <= after.elapsed);
    assert!((0.0..=1.0).contains(&between.utilization()));
    assert!(between.tracked.is_none());
    drop(live);
}

#[test]
fn a_runtime_that_tracks_its_tasks_measures_polls_batches_and_timers() {
    let runtime = Runtime::builder().track_tasks(true).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..8).map(|_| runtime::spawn(async {})).collect();
        for task in tasks {
            task.await.unwrap();
        }
        time::sleep(Duration::from_millis(1)).await;
    });
    let metrics = metrics_of(&runtime);
    let tracked = metrics.tracked.as_ref().unwrap();
    let batches: u64 = tracked.batches.counts.iter().sum();
    // Eight tasks and the polls of the root future.
    assert!(tracked.batches.sum >= 9, "{tracked:?}");
    assert!(batches < tracked.batches.sum);
    assert_eq!(
        tracked.poll_times.count(),
        tracked.batches.sum + 1,
        "the last is in no batch"
    );
    assert!(tracked.poll_times.sum > 0 && tracked.longest_poll > Duration::ZERO);
    assert_eq!(tracked.lateness.count(), metrics.timers_fired);
    assert!(tracked.idle > Duration::ZERO && tracked.busy > Duration::ZERO);
    assert!(tracked.idle + tracked.busy <= metrics.elapsed);
    assert!(tracked.empty_waits >= 1, "the timer is no event");
    let nothing = &metrics - &metrics;
    let nothing = nothing.tracked.unwrap();
    assert_eq!(nothing.poll_times.count() + nothing.batches.sum, 0);
}

#[test]
fn the_text_for_prometheus_has_a_help_a_type_and_a_label_for_each_value() {
    let builder = Runtime::builder().name("a \"b\"").track_tasks(true);
    let runtime = builder.build().unwrap();
    runtime.block_on(task::yield_now());
    let text = metrics_of(&runtime).to_prometheus();
    let expected = "# HELP runtime_tasks Tasks that are not finished.\n# TYPE runtime_tasks gauge\n\
                    runtime_tasks{runtime=\"a \\\"b\\\"\"} 0\n";
    assert!(text.contains(expected), "{text}");
    let expected = "runtime_poll_seconds_bucket{runtime=\"a \\\"b\\\"\",le=\"+Inf\"} 2\n";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("runtime_poll_seconds_count{runtime=\"a \\\"b\\\"\"} 2\n"),
        "{text}"
    );
    let mut types = 0;
    for line in text.lines() {
        let is_comment = line.starts_with("# HELP runtime_") || line.starts_with("# TYPE runtime_");
        types += usize::from(line.starts_with("# TYPE"));
        assert!(
            is_comment || line.split_once("} ").unwrap().1.parse::<f64>().is_ok(),
            "{line}"
        );
    }
    assert_eq!(types, 25 + 3 + 3);
}

/// Starts this test program again, to run one ignored test.
fn start(test: &str) -> Started {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "the child has ended"
        );
    }
    let errors = BufReader::new(child.stderr.take().unwrap());
    Started {
        child,
        lines,
        errors,
    }
}

struct Started {
    child: Child,
    lines: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Started {
    /// Lets the child end.
    fn end(mut self) {
        drop(self.child.stdin.take());
        // Read to the end, or the child would get EPIPE.
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        self.errors.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
    }
}

fn send_signal(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
}

/// Returns the lines of standard error up to the one that contains `end`.
fn read_until(errors: &mut impl BufRead, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        assert_ne!(errors.read_line(&mut text).unwrap(), 0, "{text}");
    }
    text
}

#[test]
fn a_signal_writes_the_tasks_of_each_runtime_of_the_process() {
    let mut started = start("serves_dumps");
    for _ in 0..2 {
        send_signal(&started.child);
        let mut text = String::new();
        while !(text.contains("of one\"") && text.contains("of the other\"")) {
            text += &read_until(&mut started.errors, "timer in ");
        }
        assert!(
            text.contains("runtime: runtime \"one\": 1 task: 1 waiting\n"),
            "{text}"
        );
        assert!(
            text.contains("runtime: runtime \"other\": 1 task: 1 waiting\n"),
            "{text}"
        );
    }
    started.end();
}

#[test]
#[ignore = "another test starts it"]
fn serves_dumps() {
    let serve = |name: &'static str, ready: Sender<()>| {
        let builder = Runtime::builder()
            .name(name)
            .dump_on(SignalKind::user_defined1());
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            let name = if name == "one" {
                "task of one"
            } else {
                "task of the other"
            };
            let task = task::Builder::new().name(name);
            let _task = task.spawn(time::sleep(Duration::from_secs(600)));
            task::yield_now().await;
            ready.send(()).unwrap();
            runtime::spawn_blocking(|| std::io::stdin().read(&mut [0]))
                .await
                .unwrap()
                .unwrap();
        });
    };
    let (ready, is_ready) = channel();
    let also_ready = ready.clone();
    let one = thread::spawn(move || serve("one", ready));
    let other = thread::spawn(move || serve("other", also_ready));
    is_ready.recv().unwrap();
    is_ready.recv().unwrap();
    println!("ready");
    one.join().unwrap();
    other.join().unwrap();
}

#[test]
fn a_signal_names_the_task_that_keeps_the_thread() {
    let mut started = start("hogs_its_thread");
    send_signal(&started.child);
    let text = read_until(&mut started.errors, "has kept the thread");
    assert!(text.contains("runtime \"hogged\": task "), "{text}");
    assert!(
        text.contains("\"hog\", spawned at tests/observed.rs:"),
        "{text}"
    );
    started.end();
}

#[test]
#[ignore = "another test starts it"]
fn hogs_its_thread() {
    let builder = Runtime::builder()
        .name("hogged")
        .dump_on(SignalKind::user_defined1());
    let runtime = builder.build().unwrap();
    runtime.block_on(async {
        let hog = async {
            println!("ready");
            let _ = std::io::stdin().read(&mut [0]).unwrap();
        };
        let task = task::Builder::new().name("hog").spawn(hog);
        task.await.unwrap();
    });
}

#[test]
fn a_signal_during_the_drop_of_a_runtime_does_not_end_the_process() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    // Keeps the handler while the runtimes come and go.
    let keep = Runtime::builder()
        .name("kept")
        .dump_on(SignalKind::user_defined2());
    let _keep = keep.build().unwrap();
    let sending = thread::spawn(|| {
        while !ENDED.load(Ordering::Relaxed) {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::USR2).unwrap();
            thread::yield_now();
        }
    });
    for _ in 0..50 {
        let builder = Runtime::builder()
            .name("dropped")
            .dump_on(SignalKind::user_defined2());
        let runtime = builder.build().unwrap();
        runtime.block_on(task::yield_now());
    }
    ENDED.store(true, Ordering::Relaxed);
    sending.join().unwrap();
}

#[test]
fn a_signal_that_cannot_be_caught_is_rejected() {
    let builder = Runtime::builder().dump_on(SignalKind::from_raw(9));
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "listen to SIGKILL: it cannot be caught");
}
