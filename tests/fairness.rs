//! One rule of fairness: whatever completes without waiting is counted, so its task lets others go
//! first. Bounds are numbers of completions, polls and turns; no test measures time.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use runtime::fs::{self, File};
use runtime::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, Cursor, SeekFrom,
    copy_bidirectional, empty, repeat, sink,
};
use runtime::net::UnixStream;
use runtime::task::{JoinSet, consume_budget, unconstrained};
use runtime::time::{interval, interval_at, sleep_until, timeout, timeout_at};
use runtime::{Backend, Runtime};

/// One poll completes this many operations at most.
const BUDGET: u64 = 128;

type Loop = Pin<Box<dyn Future<Output = ()>>>;

/// Counts the rounds of a loop.
#[derive(Clone, Default)]
struct Rounds(Rc<Cell<u64>>);

impl Rounds {
    fn add(&self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A reader and writer in memory that is at its end.
#[derive(Default)]
struct Memory;

impl runtime::io::AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(0))
    }
}

impl runtime::io::AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Makes a loop of an operation.
macro_rules! endless {
    ($rounds:ident, $operation:expr) => {
        Box::pin(async move {
            loop {
                let _ = $operation.await;
                $rounds.add();
            }
        })
    };
}

/// A name, and a function that makes an endless loop over an operation that is always ready.
type Case = (&'static str, fn(Rounds) -> Loop);

/// Every operation of this crate that may always be ready.
const ALWAYS_READY: &[Case] = &[
    ("sleep_until", |rounds| {
        let past = Instant::now() - Duration::from_secs(1);
        endless!(rounds, sleep_until(past))
    }),
    ("sleep_until, one that is complete", |rounds| {
        let mut sleep = sleep_until(Instant::now() - Duration::from_secs(1));
        endless!(rounds, &mut sleep)
    }),
    ("timeout_at", |rounds| {
        let past = Instant::now() - Duration::from_secs(1);
        endless!(rounds, timeout_at(past, std::future::pending::<()>()))
    }),
    ("Interval::tick", |rounds| {
        let mut ticks = interval_at(
            Instant::now() - Duration::from_secs(3600),
            Duration::from_nanos(1),
        );
        endless!(rounds, ticks.tick())
    }),
    ("JoinHandle", |rounds| {
        Box::pin(async move {
            loop {
                let tasks: Vec<_> = (0..1_000).map(|_| runtime::spawn(async {})).collect();
                runtime::task::yield_now().await;
                for task in tasks {
                    task.await.unwrap();
                    rounds.add();
                }
            }
        })
    }),
    ("JoinHandle of a blocking job", |rounds| {
        Box::pin(async move {
            loop {
                let jobs: Vec<_> = (0..200).map(|_| runtime::spawn_blocking(|| {})).collect();
                while !jobs.iter().all(|job| job.is_finished()) {
                    runtime::task::yield_now().await;
                }
                for job in jobs {
                    job.await.unwrap();
                    rounds.add();
                }
            }
        })
    }),
    ("JoinSet::join_next", |rounds| {
        Box::pin(async move {
            loop {
                let mut set = JoinSet::new();
                (0..1_000).for_each(|_| drop(set.spawn(async {})));
                runtime::task::yield_now().await;
                while set.join_next().await.is_some() {
                    rounds.add();
                }
            }
        })
    }),
    ("JoinSet::join_next, of an empty set", |rounds| {
        let mut set = JoinSet::<()>::new();
        endless!(rounds, set.join_next())
    }),
    ("io::empty", |rounds| {
        endless!(rounds, empty().read(&mut [0; 8]))
    }),
    ("io::empty, one reader", |rounds| {
        let mut reader = empty();
        endless!(rounds, reader.read_line(&mut String::new()))
    }),
    ("io::repeat", |rounds| {
        let mut reader = repeat(1);
        endless!(rounds, reader.read_exact(&mut [0; 8]))
    }),
    ("io::sink", |rounds| {
        let mut writer = sink();
        endless!(rounds, writer.write_all(b"hello"))
    }),
    ("io::sink, flushed", |rounds| {
        let mut writer = sink();
        endless!(rounds, writer.flush())
    }),
    ("io::Cursor", |rounds| {
        let mut cursor = Cursor::new([1; 8]);
        endless!(rounds, cursor.read(&mut [0; 8]))
    }),
    ("io::Cursor, by lines", |rounds| {
        let mut cursor = Cursor::new("\n".repeat(10_000));
        Box::pin(async move {
            loop {
                cursor.set_position(0);
                while cursor.read_line(&mut String::new()).await.unwrap() != 0 {
                    rounds.add();
                }
            }
        })
    }),
    ("io::Cursor, seeking", |rounds| {
        let mut cursor = Cursor::new([1; 8]);
        endless!(rounds, cursor.seek(SeekFrom::Start(0)))
    }),
    ("io::copy", |rounds| {
        endless!(rounds, runtime::io::copy(&b"hello"[..], Vec::new()))
    }),
    ("io::copy_bidirectional", |rounds| {
        endless!(rounds, copy_bidirectional(&mut Memory, &mut Memory))
    }),
    ("fs::metadata", |rounds| {
        endless!(rounds, fs::metadata("/etc/passwd"))
    }),
    ("fs::read", |rounds| {
        endless!(rounds, fs::read("/etc/passwd"))
    }),
    ("File::open", |rounds| {
        endless!(rounds, File::open("/etc/passwd"))
    }),
    ("File, reading", |rounds| {
        Box::pin(async move {
            let mut file = File::open("/etc/passwd").await.unwrap();
            let mut buffer = [0; 8 * 1024];
            loop {
                // At the end, again and again.
                file.read(&mut buffer).await.unwrap();
                rounds.add();
            }
        })
    }),
    ("File, seeking", |rounds| {
        Box::pin(async move {
            let mut file = File::open("/etc/passwd").await.unwrap();
            loop {
                file.seek(SeekFrom::Start(0)).await.unwrap();
                rounds.add();
            }
        })
    }),
    ("File::read_at", |rounds| {
        Box::pin(async move {
            let file = File::open("/etc/passwd").await.unwrap();
            loop {
                file.read_at(&mut [0; 8], 0).await.unwrap();
                rounds.add();
            }
        })
    }),
    ("File::metadata", |rounds| {
        Box::pin(async move {
            let file = File::open("/etc/passwd").await.unwrap();
            loop {
                file.metadata().await.unwrap();
                rounds.add();
            }
        })
    }),
    ("task::consume_budget", |rounds| {
        endless!(rounds, consume_budget())
    }),
    ("UnixStream::writable", |rounds| {
        let (near, far) = UnixStream::pair().unwrap();
        Box::pin(async move {
            let _far = far;
            loop {
                near.writable().await.unwrap();
                rounds.add();
            }
        })
    }),
];

fn on_all_backends(test: impl Fn(&Runtime)) {
    for &backend in Backend::available() {
        test(&Runtime::builder().backend(backend).build().unwrap());
    }
}

/// Counts the polls of a future.
async fn count_polls<F: Future>(polls: &Cell<u64>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(cx)
    })
    .await
}

#[test]
fn a_poll_completes_no_more_operations_than_its_budget() {
    on_all_backends(|runtime| {
        for (name, make) in ALWAYS_READY {
            let rounds = Rounds::default();
            runtime.block_on(async {
                let mut endless = make(rounds.clone());
                let mut polls = 0;
                while polls < 20 || rounds.0.get() == 0 {
                    polls += 1;
                    let before = rounds.0.get();
                    let mut polled = false;
                    // The next poll comes in the next pass of the loop.
                    poll_fn(|cx| {
                        if polled {
                            return Poll::Ready(());
                        }
                        polled = true;
                        assert!(endless.as_mut().poll(cx).is_pending());
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    })
                    .await;
                    // One more, which was pending in the poll before.
                    let most = BUDGET + 1;
                    let completed = rounds.0.get() - before;
                    assert!(completed <= most, "{name}: {completed} in one poll");
                }
            });
        }
    });
}

#[test]
fn a_task_a_timer_and_a_socket_have_their_turn_beside_what_is_always_ready() {
    on_all_backends(|runtime| {
        for (name, make) in ALWAYS_READY {
            let polls = Rc::new(Cell::new(0));
            let counted = polls.clone();
            runtime.block_on(async {
                let endless = make(Rounds::default());
                let busy = runtime::spawn(async move { count_polls(&counted, endless).await });
                runtime::task::yield_now().await;
                for _ in 0..5 {
                    // A task: in the next batch.
                    let before = polls.get();
                    runtime::spawn(async {}).await.unwrap();
                    let waited = polls.get() - before;
                    assert!(waited <= 3, "{name}: a task waited for {waited} polls");
                    // A socket that is ready: in the next turn.
                    let (mut near, mut far) = UnixStream::pair().unwrap();
                    let echo = runtime::spawn(async move {
                        let mut byte = [0];
                        far.read_exact(&mut byte).await.unwrap();
                        far.write_all(&byte).await.unwrap();
                    });
                    runtime::task::yield_now().await;
                    let before = polls.get();
                    near.write_all(b"x").await.unwrap();
                    near.read_exact(&mut [0]).await.unwrap();
                    let waited = polls.get() - before;
                    assert!(waited <= 200, "{name}: a socket waited for {waited} polls");
                    echo.await.unwrap();
                    // A timer that is due: in the next turn.
                    let deadline = Instant::now();
                    let before = polls.get();
                    sleep_until(deadline).await;
                    let waited = polls.get() - before;
                    assert!(waited <= 80, "{name}: a timer waited for {waited} polls");
                }
                busy.abort();
            });
        }
    });
}

#[test]
fn a_timeout_ends_every_loop_over_what_is_always_ready() {
    on_all_backends(|runtime| {
        for (name, make) in ALWAYS_READY {
            let ended = runtime.block_on(async {
                // Within the root future, in a task, and nested.
                let limit = Duration::from_millis(1);
                let root = timeout(limit, make(Rounds::default())).await;
                let endless = make(Rounds::default());
                let task = runtime::spawn(async move { timeout(limit, endless).await });
                let nested =
                    timeout(limit, timeout(limit * 1_000_000, make(Rounds::default()))).await;
                root.is_err() && task.await.unwrap().is_err() && nested.is_err()
            });
            assert!(ended, "{name}");
        }
    });
}

#[test]
fn an_operation_beside_one_that_uses_up_every_budget_completes() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let past = Instant::now() - Duration::from_secs(1);
        let finished = runtime::spawn(async { 7 });
        let mut set = JoinSet::new();
        set.spawn(async { 8 });
        runtime::task::yield_now().await;
        let mut endless = pin!(async {
            loop {
                sleep_until(past).await;
            }
        });
        let mut others = pin!(async {
            sleep_until(past).await;
            assert_eq!(finished.await.unwrap(), 7);
            assert_eq!(set.join_next().await.unwrap().unwrap(), 8);
            assert_eq!(empty().read(&mut [0]).await.unwrap(), 0);
            runtime::io::copy(&b"hello"[..], Vec::new()).await.unwrap();
            consume_budget().await;
        });
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            assert!(endless.as_mut().poll(cx).is_pending());
            others.as_mut().poll(cx)
        })
        .await;
        assert!(polls <= 10, "{polls} polls");
    });
}

#[runtime::test]
async fn a_buffer_that_was_filled_stays_so_in_the_same_poll() {
    let mut cursor = Cursor::new([1; 8]);
    for _ in 0..BUDGET * 2 {
        // Calls `poll_fill_buf` twice, and panics if only the first call is ready.
        assert_eq!(cursor.fill_buf().await.unwrap(), [1; 8]);
        cursor.consume(0);
    }
}

#[test]
fn an_unconstrained_future_has_no_budget() {
    let runtime = Runtime::new().unwrap();
    let past = Instant::now() - Duration::from_secs(1);
    runtime.block_on(async {
        let mut many = pin!(unconstrained(async {
            for _ in 0..BUDGET * 10 {
                sleep_until(past).await;
                consume_budget().await;
            }
        }));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(many.as_mut().poll(cx).is_ready());
        // An operation that follows it in the same poll is counted.
        let mut constrained = pin!(async {
            for _ in 0..=BUDGET {
                consume_budget().await;
            }
        });
        assert!(constrained.as_mut().poll(cx).is_pending());
        assert!(constrained.as_mut().poll(cx).is_ready());
    });
}

#[test]
fn a_future_that_panics_unconstrained_leaves_the_budget_in_force() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let task = runtime::spawn(unconstrained(async { panic!("on purpose") }));
        assert!(task.await.unwrap_err().is_panic());
        let mut constrained = pin!(async {
            loop {
                consume_budget().await;
            }
        });
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(constrained.as_mut().poll(cx).is_pending());
    });
}

#[test]
fn outside_a_runtime_there_is_no_budget() {
    let mut many = pin!(async {
        for _ in 0..BUDGET * 10 {
            consume_budget().await;
            empty().read(&mut [0]).await.unwrap();
        }
    });
    let polled = many.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
}

#[test]
fn an_interval_whose_work_takes_longer_than_its_period_does_not_delay_turns() {
    let runtime = Runtime::new().unwrap();
    let ticks = Rc::new(Cell::new(0_u64));
    let counted = ticks.clone();
    runtime.block_on(async {
        let busy = runtime::spawn(async move {
            let mut interval = interval(Duration::from_nanos(1));
            loop {
                interval.tick().await;
                counted.set(counted.get() + 1);
            }
        });
        runtime::task::yield_now().await;
        for _ in 0..100 {
            let before = ticks.get();
            // Due in the next turn.
            sleep_until(Instant::now()).await;
            let meanwhile = ticks.get() - before;
            assert!(meanwhile <= BUDGET * 4, "{meanwhile} ticks before a turn");
        }
        busy.abort();
    });
}

#[test]
fn a_sleep_that_is_polled_without_yielding_completes_once_its_deadline_has_passed() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_millis(1);
        let mut sleep = pin!(sleep_until(deadline));
        let cx = &mut Context::from_waker(Waker::noop());
        let mut polls_too_late = 0;
        while sleep.as_mut().poll(cx).is_pending() {
            polls_too_late += u64::from(Instant::now() >= deadline);
            assert!(polls_too_late <= 64, "still pending");
        }
        assert!(Instant::now() >= deadline);
        assert!(sleep.is_elapsed());
        assert!(sleep.as_mut().poll(cx).is_ready(), "it completes again");
        sleep.reset(Instant::now() + Duration::from_secs(3600));
        assert!(!sleep.is_elapsed());
        assert!(sleep.as_mut().poll(cx).is_pending());
    });
    assert_eq!(runtime.stats().timers, 0, "no timer stays armed");
}

#[test]
fn a_copy_that_never_waits_does_not_delay_turns() {
    static COPIED: AtomicU64 = AtomicU64::new(0);
    struct Counted;
    impl runtime::io::AsyncRead for Counted {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &mut [u8],
        ) -> Poll<std::io::Result<usize>> {
            COPIED.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Ok(bytes.len()))
        }
    }
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let busy = runtime::spawn(runtime::io::copy(Counted, Memory));
        runtime::task::yield_now().await;
        for _ in 0..10 {
            let before = COPIED.load(Ordering::Relaxed);
            sleep_until(Instant::now()).await;
            let pieces = COPIED.load(Ordering::Relaxed) - before;
            assert!(pieces <= 4 * 64, "{pieces} pieces before a turn");
        }
        busy.abort();
    });
}
