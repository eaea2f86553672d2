//! The threads that blocking jobs run on.

mod support;

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use runtime_executor::internal::{
    Inspection, on_pool_finish, spawn_blocking_named, spawn_mandatory_blocking,
};
use runtime_executor::{Config, Executor, Handle, ThreadPark, spawn_blocking};
use support::{
    CountingWaker, Loop, SharedCount, child, elsewhere, is_child, on_drop, poll_once, text,
    wait_for, watchdog,
};

fn with_pool(max_threads: usize) -> Loop {
    Loop::with(Config::new().max_blocking_threads(max_threads))
}

/// A job that signals its start and runs until it is released.
fn gated(handle: &Handle) -> (runtime_executor::JoinHandle<()>, Receiver<()>, Sender<()>) {
    let (begin, begun) = channel();
    let (end, ended) = channel();
    let job = handle.spawn_blocking(move || {
        begin.send(()).unwrap();
        let _ = ended.recv();
    });
    (job, begun, end)
}

/// Makes the thread that runs this report its end.
fn send_on_thread_exit(sender: Sender<ThreadId>) {
    struct Tells(Sender<ThreadId>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }
    thread_local!(static TELLS: Mutex<Option<Tells>> = const { Mutex::new(None) });
    TELLS.with(|tells| *tells.lock().unwrap() = Some(Tells(sender)));
}

#[test]
fn a_job_runs_on_another_thread_with_the_pools_name() {
    let _watchdog = watchdog();
    let looped = Loop::with(Config::new().blocking_thread_name("a-name"));
    let (id, name) = looped.block_on(async {
        let job = || {
            (
                thread::current().id(),
                thread::current().name().map(str::to_owned),
            )
        };
        spawn_blocking(job).await.unwrap()
    });
    assert_ne!(id, thread::current().id());
    assert_eq!(name.as_deref(), Some("a-name"));
}

#[test]
fn a_task_woken_by_a_job_gets_the_same_thread_for_its_next_job() {
    /// Submits the next job, which reports that it runs.
    struct Next(Handle, Sender<()>);
    impl Wake for Next {
        fn wake(self: Arc<Self>) {
            let send = self.1.clone();
            drop(self.0.spawn_blocking(move || send.send(())));
        }
    }
    let _watchdog = watchdog();
    let looped = Loop::new();
    let handle = looped.executor.handle();
    let (mut job, begun, end) = gated(handle);
    begun.recv().unwrap();
    let (send, received) = channel();
    let waker = Waker::from(Arc::new(Next(handle.clone(), send)));
    assert!(poll_once(&mut job, &waker).is_pending());
    drop(end);
    received.recv().unwrap();
    // A thread counts from the moment at which the job for it is submitted.
    let counts = Inspection::of(handle).unwrap().job_counts();
    assert_eq!(counts.threads, 1, "a second thread was started");
}

/// Returns the number of threads of this process with a name, or `None` where that cannot be read.
///
/// The maximum of many reads: while other tests' threads come and go, a listing of /proc/self/task
/// may leave out one that is there (proc_task_readdir of Linux starts over after a thread that has
/// ended).
fn threads_named(name: &str) -> Option<usize> {
    (0..50).map(|_| listed_threads_named(name)).max().flatten()
}

fn listed_threads_named(name: &str) -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let named = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    Some(tasks.flatten().filter(named).count())
}

#[test]
fn there_is_no_thread_before_the_first_job_and_one_after_it() {
    let _watchdog = watchdog();
    let looped = Loop::with(Config::new().blocking_thread_name("first-job"));
    let Some(before) = threads_named("first-job") else {
        return;
    };
    looped.block_on(async {});
    assert_eq!(before, 0);
    let count =
        looped.block_on(async { spawn_blocking(|| threads_named("first-job")).await.unwrap() });
    assert_eq!(count, Some(1));
}

#[test]
fn one_thread_is_enough_for_jobs_that_do_not_overlap() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let ids: HashSet<_> = looped.block_on(async {
        let mut ids = HashSet::new();
        for _ in 0..50 {
            ids.insert(spawn_blocking(|| thread::current().id()).await.unwrap());
        }
        ids
    });
    assert_eq!(ids.len(), 1);
}

#[test]
fn jobs_run_at_the_same_time_up_to_the_bound() {
    let _watchdog = watchdog();
    let looped = with_pool(3);
    let together = Arc::new(Barrier::new(3));
    looped.block_on(async {
        let jobs: Vec<_> = (0..3)
            .map(|_| {
                let together = together.clone();
                spawn_blocking(move || together.wait())
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    });
}

#[test]
fn more_jobs_than_the_bound_wait_in_order() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let (blocks, begun, end) = gated(looped.executor.handle());
    begun.recv().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let ids = Arc::new(Mutex::new(HashSet::new()));
    let jobs: Vec<_> = (0..10)
        .map(|n| {
            let (order, ids) = (order.clone(), ids.clone());
            looped.executor.handle().spawn_blocking(move || {
                order.lock().unwrap().push(n);
                ids.lock().unwrap().insert(thread::current().id());
            })
        })
        .collect();
    assert!(jobs.iter().all(|job| !job.is_finished()));
    assert!(order.lock().unwrap().is_empty());
    end.send(()).unwrap();
    looped.block_on(async {
        blocks.await.unwrap();
        for job in jobs {
            job.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(ids.lock().unwrap().len(), 1);
}

#[test]
fn the_bound_holds_for_many_jobs() {
    let _watchdog = watchdog();
    let looped = with_pool(4);
    // The number of jobs that run now, and the maximum so far.
    let counts = Arc::new(Mutex::new((0, 0)));
    looped.block_on(async {
        let jobs: Vec<_> = (0..2000)
            .map(|_| {
                let counts = counts.clone();
                spawn_blocking(move || {
                    let mut now = counts.lock().unwrap();
                    now.0 += 1;
                    now.1 = now.0.max(now.1);
                    drop(now);
                    thread::yield_now();
                    counts.lock().unwrap().0 -= 1;
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    });
    let (now, most) = *counts.lock().unwrap();
    assert_eq!(now, 0);
    assert!((1..=4).contains(&most), "{most}");
}

#[test]
fn no_threads_at_all_means_one() {
    let _watchdog = watchdog();
    let looped = with_pool(0);
    assert_eq!(
        looped.block_on(async { spawn_blocking(|| 1).await.unwrap() }),
        1
    );
}

#[test]
fn an_idle_thread_ends_and_the_next_job_starts_another() {
    let _watchdog = watchdog();
    let looped = Loop::with(Config::new().blocking_thread_keep_alive(Duration::from_millis(1)));
    let (ends, ended) = channel();
    for _ in 0..3 {
        let ends = ends.clone();
        let job = looped
            .executor
            .handle()
            .spawn_blocking(move || send_on_thread_exit(ends));
        looped.block_on(job).unwrap();
        ended.recv().unwrap();
    }
}

#[test]
fn the_threads_end_with_the_executor() {
    let _watchdog = watchdog();
    let looped = Loop::with(Config::new().blocking_thread_keep_alive(Duration::from_secs(3600)));
    let (ends, ended) = channel();
    let together = Arc::new(Barrier::new(2));
    looped.block_on(async {
        let jobs = [0, 1].map(|_| {
            let (ends, together) = (ends.clone(), together.clone());
            spawn_blocking(move || {
                send_on_thread_exit(ends);
                together.wait();
            })
        });
        for job in jobs {
            job.await.unwrap();
        }
    });
    drop(looped);
    assert_ne!(ended.recv().unwrap(), ended.recv().unwrap());
}

#[test]
fn a_panic_is_the_error_of_the_handle_and_the_thread_goes_on() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    looped.block_on(async {
        let id = spawn_blocking(|| thread::current().id()).await.unwrap();
        let error = spawn_blocking(|| panic!("in a job")).await.unwrap_err();
        let said = error.to_string();
        assert!(error.is_panic() && said.contains("in a job"), "{said}");
        assert!(
            said.contains("spawned at executor/tests/blocking_jobs.rs"),
            "{said}"
        );
        assert_eq!(text(&*error.into_panic()), "in a job");
        assert_eq!(spawn_blocking(|| thread::current().id()).await.unwrap(), id);
    });
}

/// A value whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new("boom"));
    }
}

#[test]
fn outputs_payloads_and_captures_whose_drop_panics_cost_no_thread() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let handle = looped.executor.handle();
    for _ in 0..3 {
        let (blocks, begun, end) = gated(handle);
        begun.recv().unwrap();
        drop(handle.spawn_blocking(|| Bomb));
        drop(handle.spawn_blocking(|| resume_unwind(Box::new(Bomb))));
        let bomb = Bomb;
        drop(handle.spawn_blocking(move || {
            let _bomb = &bomb;
        }));
        let bomb = Bomb;
        let aborted = handle.spawn_blocking(move || drop(bomb));
        aborted.abort();
        assert!(looped.block_on(aborted).unwrap_err().is_cancelled());
        end.send(()).unwrap();
        looped.block_on(blocks).unwrap();
    }
    assert_eq!(looped.block_on(handle.spawn_blocking(|| 2)).unwrap(), 2);
}

#[test]
fn a_job_aborted_before_it_began_never_runs_and_one_that_runs_cannot_be_stopped() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let (runs, begun, end) = gated(looped.executor.handle());
    begun.recv().unwrap();
    let ran = SharedCount::default();
    let (counted, dropped) = (ran.clone(), SharedCount::default());
    let drops = dropped.clone();
    let guard = on_drop(move || drops.add());
    let queued = looped.executor.handle().spawn_blocking(move || {
        let _guard = guard;
        counted.add();
    });
    runs.abort();
    queued.abort_handle().abort();
    queued.abort();
    assert_eq!(dropped.get(), 1, "at once");
    assert!(queued.is_finished() && !runs.is_finished());
    end.send(()).unwrap();
    let error = looped.block_on(queued).unwrap_err();
    assert!(
        error.is_cancelled() && error.to_string().contains("aborted"),
        "{error}"
    );
    looped.block_on(runs).unwrap();
    assert_eq!(ran.get(), 0);
}

#[test]
fn dropping_the_executor_cancels_queued_jobs_and_waits_for_none() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let remote = looped.executor.handle().clone();
    let (mut runs, begun, end) = gated(&remote);
    begun.recv().unwrap();
    let ran = SharedCount::default();
    let counted = ran.clone();
    let mut queued = remote.spawn_blocking(move || counted.add());
    let (count, waker) = CountingWaker::new();
    assert!(poll_once(&mut queued, &waker).is_pending());
    assert!(poll_once(&mut runs, &waker).is_pending());
    drop(looped);
    assert_eq!(count.count(), 1);
    let cancelled = wait_for(queued).unwrap_err();
    assert!(cancelled.is_cancelled());
    assert!(
        cancelled.to_string().contains("its runtime was dropped"),
        "{cancelled}"
    );
    assert!(!runs.is_finished());
    end.send(()).unwrap();
    wait_for(runs).unwrap();
    assert!(
        wait_for(remote.spawn_blocking(|| ()))
            .unwrap_err()
            .is_cancelled()
    );
    assert_eq!(ran.get(), 0);
}

#[test]
fn a_job_knows_its_runtime_and_can_use_it() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let answer = looped.block_on(async {
        spawn_blocking(|| {
            let spawned = Handle::current().spawn(async { thread::current().id() });
            let nested = spawn_blocking(|| 4);
            (wait_for(spawned).unwrap(), wait_for(nested).unwrap())
        })
        .await
        .unwrap()
    });
    assert_eq!(answer, (thread::current().id(), 4));
}

#[test]
fn a_job_that_spawns_after_the_runtime_was_dropped_gets_an_error() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let (end, ended) = channel::<()>();
    let job = looped.executor.handle().spawn_blocking(move || {
        ended.recv().unwrap_err();
        wait_for(Handle::current().spawn(async {})).is_err()
            && wait_for(spawn_blocking(|| ())).is_err()
    });
    drop(looped);
    // Either it had begun, or it was cancelled.
    drop(end);
    assert!(wait_for(job).unwrap_or(true));
}

#[test]
fn a_handle_is_awaited_on_another_thread() {
    let _watchdog = watchdog();
    let looped = Loop::new();
    let handle = looped.executor.handle();
    assert_eq!(
        elsewhere(|| wait_for(handle.spawn_blocking(|| 1)).unwrap()),
        1
    );
    let (job, begun, end) = gated(handle);
    begun.recv().unwrap();
    let far = thread::spawn(move || wait_for(job).unwrap());
    end.send(()).unwrap();
    far.join().unwrap();
    assert_eq!(looped.executor.task_count(), 0);
}

#[test]
fn jobs_that_come_when_threads_are_about_to_end_are_run() {
    let _watchdog = watchdog();
    let looped = Loop::with(
        Config::new()
            .blocking_thread_keep_alive(Duration::from_nanos(1))
            .max_blocking_threads(2),
    );
    looped.block_on(async {
        for n in 0..2000 {
            let pair = [spawn_blocking(move || n), spawn_blocking(move || n)];
            for job in pair {
                assert_eq!(job.await.unwrap(), n);
            }
        }
    });
}

/// Returns a size of stacks with which no thread can be started, or `None` on a system where that
/// ends the test harness: it continues without a thread of its own if the error is EAGAIN, and
/// NetBSD returns ENOMEM.
fn stack_beyond_memory() -> Option<String> {
    if cfg!(not(target_os = "linux")) {
        eprintln!("NOT TESTED on this system");
        return None;
    }
    let stack: u64 = if usize::BITS == 64 { 1 << 47 } else { 3 << 30 };
    Some(stack.to_string())
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error_and_does_not_count() {
    const NAME: &str = "a_thread_that_cannot_be_started_is_an_error_and_does_not_count";
    if is_child() {
        // The stack of every thread is larger than the address space: see below.
        let looped = with_pool(1);
        for _ in 0..3 {
            let job = looped.executor.handle().spawn_blocking(|| ());
            let error = looped.block_on(job).unwrap_err();
            assert!(
                error.is_cancelled() && error.to_string().contains("no thread"),
                "{error}"
            );
            assert!(std::error::Error::source(&error).is_some());
        }
        std::process::exit(7);
    }
    let Some(stack) = stack_beyond_memory() else {
        return;
    };
    let output = child(NAME, &[("RUST_MIN_STACK", &stack)]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
}

#[test]
fn a_mandatory_job_runs_although_the_only_thread_is_busy_when_the_executor_is_dropped() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let handle = looped.executor.handle();
    let (blocks, begun, end) = gated(handle);
    begun.recv().unwrap();
    let canceled = handle.spawn_blocking(|| ());
    let mandatory = spawn_mandatory_blocking(handle, "write", || 7);
    let (finish, finished) = channel();
    drop(spawn_mandatory_blocking(handle, "write", {
        let finish = finish.clone();
        move || finish.send("job").unwrap()
    }));
    on_pool_finish(handle, move || finish.send("closure").unwrap());
    assert!(!mandatory.is_finished());
    drop(looped);
    assert!(mandatory.is_finished());
    assert_eq!(wait_for(mandatory).unwrap(), 7);
    assert!(wait_for(canceled).unwrap_err().is_cancelled());
    assert_eq!(finished.try_iter().collect::<Vec<_>>(), ["job", "closure"]);
    end.send(()).unwrap();
    wait_for(blocks).unwrap();
}

#[test]
fn dropping_the_executor_waits_for_a_mandatory_job_that_runs() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let handle = looped.executor.handle().clone();
    let (begin, begun) = channel();
    let (end, ended) = channel::<()>();
    let done = SharedCount::default();
    let counted = done.clone();
    drop(spawn_mandatory_blocking(&handle, "write", move || {
        begin.send(()).unwrap();
        // Returns when the tasks of the executor are dropped.
        ended.recv().unwrap_err();
        // Gives a drop that does not wait the time to return.
        thread::sleep(Duration::from_millis(20));
        counted.add();
    }));
    begun.recv().unwrap();
    drop(looped.executor.spawn(async move {
        let _end = end;
        std::future::pending::<()>().await;
    }));
    drop(looped);
    assert_eq!(done.get(), 1);
}

#[test]
fn a_mandatory_job_that_is_submitted_after_the_executor_was_dropped_runs_at_once() {
    let looped = with_pool(1);
    let handle = looped.executor.handle().clone();
    drop(looped);
    let job = spawn_mandatory_blocking(&handle, "write", || thread::current().id());
    assert_eq!(wait_for(job).unwrap(), thread::current().id());
    let (finish, finished) = channel();
    on_pool_finish(&handle, move || finish.send(()).unwrap());
    finished.try_recv().unwrap();
}

#[test]
fn a_mandatory_job_without_a_thread_runs_on_the_thread_that_submits_it() {
    const NAME: &str = "a_mandatory_job_without_a_thread_runs_on_the_thread_that_submits_it";
    if is_child() {
        // The stack of every thread is larger than the address space: see above.
        let looped = with_pool(1);
        for _ in 0..3 {
            let job = spawn_mandatory_blocking(looped.executor.handle(), "write", || {
                thread::current().id()
            });
            assert!(job.is_finished());
            assert_eq!(looped.block_on(job).unwrap(), thread::current().id());
        }
        std::process::exit(7);
    }
    let Some(stack) = stack_beyond_memory() else {
        return;
    };
    let output = child(NAME, &[("RUST_MIN_STACK", &stack)]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
}

#[test]
fn an_executor_that_forgets_its_blocking_jobs_waits_for_none() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let handle = looped.executor.handle();
    let (begin, begun) = channel();
    let (end, ended) = channel::<()>();
    let running = spawn_mandatory_blocking(handle, "write", move || {
        begin.send(()).unwrap();
        let _ = ended.recv();
    });
    begun.recv().unwrap();
    let queued = spawn_mandatory_blocking(handle, "write", || ());
    looped.executor.forget_blocking_jobs();
    drop(looped);
    assert!(!running.is_finished());
    assert!(wait_for(queued).unwrap_err().is_cancelled());
    drop(end);
}

#[test]
fn a_thread_name_with_a_nul_is_rejected_when_the_executor_is_made() {
    let config = Config::new().blocking_thread_name("with a \0 in it");
    let park = ThreadPark::new();
    let error = Executor::new(park.unparker(), config).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn the_id_of_a_job_is_marked_as_remote() {
    let looped = with_pool(1);
    let id = looped
        .executor
        .handle()
        .spawn_blocking(|| ())
        .id()
        .to_string();
    assert!(id.ends_with(".m0"), "{id}");
}

#[test]
fn a_pool_thread_calls_its_hooks_around_its_jobs() {
    let (sender, events) = channel();
    let (on_start, on_stop, in_job) = (sender.clone(), sender.clone(), sender);
    let looped = Loop::with(
        Config::new()
            .on_thread_start(move || on_start.send("start").unwrap())
            .on_thread_stop(move || {
                on_stop.send("stop").unwrap();
                panic!("a panic in a hook ends nothing else");
            })
            .name("hooked"),
    );
    let handle = looped.executor.handle();
    assert_eq!(handle.name(), Some("hooked"));
    let job = handle.spawn_blocking(move || in_job.send("job").unwrap());
    looped.block_on(job).unwrap();
    drop(looped);
    // The last sender is dropped with the pool, after the thread has ended.
    assert_eq!(events.iter().collect::<Vec<_>>(), ["start", "job", "stop"]);
}

#[test]
fn a_job_is_listed_while_it_is_queued_or_runs_and_not_afterwards() {
    let _watchdog = watchdog();
    let looped = with_pool(1);
    let handle = looped.executor.handle();
    let (running, has_begun, end) = gated(handle);
    has_begun.recv().unwrap();
    let queued = spawn_blocking_named(handle, "read", || ());
    let inspection = Inspection::of(handle).unwrap();
    let jobs = inspection.jobs();
    let found: Vec<_> = jobs
        .iter()
        .map(|job| (job.id, job.name, job.running.is_some()))
        .collect();
    assert_eq!(
        found,
        [(running.id(), "", true), (queued.id(), "read", false)]
    );
    assert_eq!(jobs[0].spawned_at.file(), file!());
    drop(end);
    looped.block_on(running).unwrap();
    looped.block_on(queued).unwrap();
    // The last job may still be on its way out of the list.
    while !inspection.jobs().is_empty() {
        thread::yield_now();
    }
}
