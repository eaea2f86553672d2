//! Costs of tasks, wakes and timers. Each measurement runs in a separate process on one core. Times
//! are CPU times unless stated otherwise.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn, ready};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::alloc;
use crate::peers::{self, Peer, Tasks};
use crate::results::Figures;
use crate::sys::{self, Epoll};

/// The measurements, and whether the bare executor or loop supports them.
pub(crate) const ALL: [(&str, bool); 25] = [
    ("spawn_batched", true),
    ("spawn_one_by_one", true),
    ("spawn_million", true),
    ("yield_1", true),
    ("yield_100", true),
    ("yield_10000", true),
    ("ping_pong", true),
    ("task_memory", true),
    ("wake_from_thread", true),
    ("timer_0", false),
    ("timer_1000", false),
    ("timer_100000", false),
    ("timer_replace_100000", false),
    ("timer_reset_100000", false),
    ("timers_firing", false),
    ("timers_firing_slack_1ms", false),
    ("timers_firing_slack_10ms", false),
    ("timeout_pending", false),
    ("timeouts_64", false),
    ("timeouts_1024", false),
    ("timeouts_100000", false),
    ("timeout_ready", false),
    ("sleep_1ms", false),
    ("blocking", false),
    ("start_stop", true),
];

/// Runs a measurement: the command `bench measure PEER NAME`.
pub(crate) fn measure(peer: &str, name: &str) -> Option<Figures> {
    sys::die_with_parent();
    sys::pin(sys::SERVER_CORE);
    if name == "timer_reset_100000" {
        let nanos = match peer {
            "runtime" => timer_reset::<peers::ours::Ours, _>(100_000, ::runtime::time::sleep),
            "tokio" => timer_reset::<peers::tokio::Tokio, _>(100_000, ::tokio::time::sleep),
            _ => return None,
        };
        return Some(vec![("ns", nanos)]);
    }
    match peer {
        "bare" if name == "wake_from_thread" => Some(vec![("cpu_us", bare_wake_from_thread())]),
        "bare" => tasks::<peers::bare::Bare>(name),
        "runtime" => all::<peers::ours::Ours>(name),
        "tokio" => all::<peers::tokio::Tokio>(name),
        "tokio-local" => all::<peers::tokio_local::TokioLocal>(name),
        "smol" => all::<peers::smol::Smol>(name),
        "monoio" => all::<peers::monoio::Epoll>(name),
        "monoio-uring" => all::<peers::monoio::Uring>(name),
        "compio" => all::<peers::compio::Polling>(name),
        "compio-uring" => all::<peers::compio::Uring>(name),
        _ => None,
    }
}

fn all<P: Peer>(name: &str) -> Option<Figures> {
    let nanos = match name {
        "wake_from_thread" => return Some(vec![("cpu_us", wake_from_thread::<P>())]),
        "timer_0" => timer::<P>(0),
        "timer_1000" => timer::<P>(1_000),
        "timer_100000" => timer::<P>(100_000),
        "timer_replace_100000" => timer_replace::<P>(100_000),
        "timers_firing" => return Some(timers_firing::<P>(0)),
        "timers_firing_slack_1ms" => return Some(timers_firing::<P>(1)),
        "timers_firing_slack_10ms" => return Some(timers_firing::<P>(10)),
        "timeout_pending" => timeout_pending::<P>(),
        "timeouts_64" => timeouts::<P>(64),
        "timeouts_1024" => timeouts::<P>(1_024),
        "timeouts_100000" => timeouts::<P>(100_000),
        "timeout_ready" => timeout_ready::<P>(),
        "sleep_1ms" => return Some(vec![("late_us", sleep_1ms::<P>())]),
        "blocking" => return Some(vec![("us", blocking::<P>())]),
        _ => return tasks::<P>(name),
    };
    Some(vec![("ns", nanos)])
}

fn tasks<P: Tasks>(name: &str) -> Option<Figures> {
    let nanos = match name {
        "spawn_batched" => spawn_batched::<P>(),
        "spawn_one_by_one" => spawn_one_by_one::<P>(),
        "spawn_million" => spawn_million::<P>(),
        "yield_1" => yields::<P>(1),
        "yield_100" => yields::<P>(100),
        "yield_10000" => yields::<P>(10_000),
        "ping_pong" => ping_pong::<P>(),
        "task_memory" => return Some(task_memory::<P>()),
        "start_stop" => start_stop::<P>(),
        _ => return None,
    };
    Some(vec![("ns", nanos)])
}

/// Returns the CPU nanoseconds of `work`, divided by `count`.
async fn each(count: usize, work: impl Future) -> f64 {
    let start = sys::cpu_time();
    work.await;
    (sys::cpu_time() - start).as_nanos() as f64 / count as f64
}

/// Wakes its task and is ready in the next poll. All peers use it, because their own functions for
/// yielding differ.
fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

fn spawn_batched<P: Tasks>() -> f64 {
    const BATCH: usize = 1_000;
    const BATCHES: usize = 500;
    P::block_on(async {
        let ran = Rc::new(Cell::new(0));
        let mut handles = Vec::with_capacity(BATCH);
        let mut batches = async |count| {
            for _ in 0..count {
                for _ in 0..BATCH {
                    let ran = ran.clone();
                    handles.push(P::spawn(async move { ran.set(ran.get() + 1) }));
                }
                for handle in handles.drain(..) {
                    handle.await;
                }
            }
        };
        batches(20).await;
        let nanos = each(BATCH * BATCHES, batches(BATCHES)).await;
        assert_eq!(ran.get(), BATCH * (BATCHES + 20));
        nanos
    })
}

fn spawn_one_by_one<P: Tasks>() -> f64 {
    const COUNT: usize = 200_000;
    P::block_on(async {
        let ran = Rc::new(Cell::new(0));
        let run = async |count| {
            for _ in 0..count {
                let ran = ran.clone();
                P::spawn(async move { ran.set(ran.get() + 1) }).await;
            }
        };
        run(COUNT / 20).await;
        each(COUNT, run(COUNT)).await
    })
}

fn spawn_million<P: Tasks>() -> f64 {
    const COUNT: usize = 1_000_000;
    P::block_on(async {
        let ran = Rc::new(Cell::new(0));
        let mut handles = Vec::with_capacity(COUNT);
        each(COUNT, async {
            for _ in 0..COUNT {
                let ran = ran.clone();
                handles.push(P::spawn(async move { ran.set(ran.get() + 1) }));
            }
            for handle in handles.drain(..) {
                handle.await;
            }
        })
        .await
    })
}

fn yields<P: Tasks>(tasks: usize) -> f64 {
    let times = 1_000_000 / tasks;
    P::block_on(async {
        let spawn_and_join = async |times: usize| {
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    P::spawn(async move {
                        for _ in 0..times {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await;
            }
        };
        // The cost of spawning cancels out in the difference.
        let few = each(1, spawn_and_join(times / 10)).await;
        let many = each(1, spawn_and_join(times + times / 10)).await;
        (many - few) / (times * tasks) as f64
    })
}

#[derive(Default)]
struct Table {
    turn: Cell<usize>,
    waiting: [RefCell<Option<Waker>>; 2],
}

async fn play(table: Rc<Table>, player: usize, times: usize) {
    for _ in 0..times {
        poll_fn(|cx| {
            if table.turn.get() == player {
                return Poll::Ready(());
            }
            let mut waiting = table.waiting[player].borrow_mut();
            match &mut *waiting {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waiting = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await;
        table.turn.set(1 - player);
        let other = table.waiting[1 - player].borrow_mut().take();
        if let Some(waker) = other {
            waker.wake();
        }
    }
}

/// Two tasks wake each other; one time is there and back.
fn ping_pong<P: Tasks>() -> f64 {
    const TIMES: usize = 500_000;
    P::block_on(async {
        let table = Rc::new(Table::default());
        each(TIMES, async {
            let first = P::spawn(play(table.clone(), 0, TIMES));
            let second = P::spawn(play(table, 1, TIMES));
            first.await;
            second.await;
        })
        .await
    })
}

/// Returns bytes and allocations a task, without its future but with all memory of the executor.
fn task_memory<P: Tasks>() -> Figures {
    const COUNT: usize = 100_000;
    P::block_on(async {
        let done = Rc::new(Cell::new(false));
        let make = || {
            let done = done.clone();
            let payload = [7_u8; 128];
            async move {
                poll_fn(|_| {
                    if done.get() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
                std::hint::black_box(&payload);
            }
        };
        let size = size_of_val(&make());
        let mut handles = Vec::with_capacity(COUNT);
        alloc::count();
        let before = alloc::now();
        for _ in 0..COUNT {
            handles.push(P::spawn(make()));
        }
        yield_now().await;
        let after = alloc::now();
        let bytes = (after.bytes - before.bytes) as f64 / COUNT as f64 - size as f64;
        let allocations = (after.allocations - before.allocations) as f64 / COUNT as f64;
        vec![("bytes", bytes), ("allocations", allocations)]
    })
}

/// Creates a runtime, runs a ready future and drops the runtime.
fn start_stop<P: Tasks>() -> f64 {
    const TIMES: usize = 500;
    P::block_on(ready(()));
    let start = sys::cpu_time();
    for _ in 0..TIMES {
        P::block_on(ready(()));
    }
    (sys::cpu_time() - start).as_nanos() as f64 / TIMES as f64
}

const CROSSINGS: u64 = 20_000;

/// Returns the CPU microseconds of both threads for waking a task from another thread, and that
/// thread by an eventfd.
fn wake_from_thread<P: Peer>() -> f64 {
    #[derive(Default)]
    struct Shared {
        sent: AtomicU64,
        waker: Mutex<Option<Waker>>,
    }
    let back = Arc::new(sys::eventfd(0).unwrap());
    let shared = Arc::new(Shared::default());
    let (their_back, their_shared) = (back.clone(), shared.clone());
    let thread = std::thread::spawn(move || {
        sys::pin(sys::LOAD_CORE);
        for _ in 0..CROSSINGS {
            their_shared.sent.fetch_add(1, Ordering::Release);
            let waker = their_shared.waker.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
            sys::eventfd_take(their_back.as_raw_fd());
        }
    });
    P::block_on(async {
        let start = sys::cpu_time();
        for wanted in 1..=CROSSINGS {
            poll_fn(|cx| {
                if shared.sent.load(Ordering::Acquire) >= wanted {
                    return Poll::Ready(());
                }
                *shared.waker.lock().unwrap() = Some(cx.waker().clone());
                if shared.sent.load(Ordering::Acquire) >= wanted {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await;
            sys::eventfd_add(back.as_raw_fd());
        }
        thread.join().unwrap();
        (sys::cpu_time() - start).as_secs_f64() * 1e6 / CROSSINGS as f64
    })
}

fn bare_wake_from_thread() -> f64 {
    let mut epoll = Epoll::new().unwrap();
    let here = sys::eventfd(libc::EFD_NONBLOCK).unwrap();
    let back = sys::eventfd(0).unwrap();
    epoll.add(here.as_raw_fd(), sys::EDGE_READ, 0).unwrap();
    let (here_fd, back_fd): (RawFd, RawFd) = (here.as_raw_fd(), back.as_raw_fd());
    let thread = std::thread::spawn(move || {
        sys::pin(sys::LOAD_CORE);
        for _ in 0..CROSSINGS {
            sys::eventfd_add(here_fd);
            sys::eventfd_take(back_fd);
        }
    });
    let start = sys::cpu_time();
    for _ in 0..CROSSINGS {
        // It is registered edge-triggered, so it need not be read.
        while epoll.wait(-1).unwrap().is_empty() {}
        sys::eventfd_add(back_fd);
    }
    thread.join().unwrap();
    (sys::cpu_time() - start).as_secs_f64() * 1e6 / CROSSINGS as f64
}

/// A pseudo-random number generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Returns a duration between one and two hours.
    fn long(&mut self) -> Duration {
        Duration::from_micros(3_600_000_000 + self.below(3_600_000_000))
    }
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

async fn armed<F: Future>(count: usize, mut make: impl FnMut() -> F) -> Vec<Pin<Box<F>>> {
    let mut others = Vec::with_capacity(count);
    for at in 0..count {
        let mut sleep = Box::pin(make());
        poll_once(sleep.as_mut()).await;
        others.push(sleep);
        if at % 64 == 0 {
            yield_now().await;
        }
    }
    others
}

/// Creates, arms and drops a timer. After each 64 timers the task yields to the runtime.
fn timer<P: Peer>(others: usize) -> f64 {
    const TIMES: usize = 200_000;
    P::block_on(async {
        let mut random = Random(88172645463325252);
        let others = armed(others, || P::sleep(random.long())).await;
        let mut run = async |times| {
            for at in 0..times {
                {
                    let mut sleep = pin!(P::sleep(random.long()));
                    poll_once(sleep.as_mut()).await;
                }
                if at % 64 == 0 {
                    yield_now().await;
                }
            }
        };
        run(TIMES / 10).await;
        let nanos = each(TIMES, run(TIMES)).await;
        drop(others);
        nanos
    })
}

/// Drops a random one of many armed timers and arms another in its place.
fn timer_replace<P: Peer>(others: usize) -> f64 {
    const TIMES: usize = 200_000;
    P::block_on(async {
        let mut random = Random(88172645463325252);
        let make = |random: &mut Random| P::sleep(random.long());
        let mut others = armed(others, || make(&mut random)).await;
        let mut other = Random(123456789);
        let mut run = async |times| {
            for at in 0..times {
                let which = other.below(others.len() as u64) as usize;
                // Replace it in place, so that no allocation is measured.
                others[which].set(make(&mut random));
                poll_once(others[which].as_mut()).await;
                if at % 64 == 0 {
                    yield_now().await;
                }
            }
        };
        run(TIMES / 10).await;
        each(TIMES, run(TIMES)).await
    })
}

/// A timer that can be moved while it is armed.
trait Reset: Future<Output = ()> {
    fn reset_to(self: Pin<&mut Self>, after: Duration);
}

impl Reset for ::runtime::time::Sleep {
    fn reset_to(mut self: Pin<&mut Self>, after: Duration) {
        self.reset(::runtime::time::Instant::now() + after);
    }
}

impl Reset for ::tokio::time::Sleep {
    fn reset_to(self: Pin<&mut Self>, after: Duration) {
        self.reset(::tokio::time::Instant::now() + after);
    }
}

/// Moves a random one of many armed timers. Only for the peers whose timers can be moved.
fn timer_reset<P: Tasks, S: Reset>(others: usize, make: fn(Duration) -> S) -> f64 {
    const TIMES: usize = 200_000;
    P::block_on(async {
        let mut random = Random(88172645463325252);
        let mut others = armed(others, || make(random.long())).await;
        let mut other = Random(123456789);
        let mut run = async |times| {
            for at in 0..times {
                let which = other.below(others.len() as u64) as usize;
                others[which].as_mut().reset_to(random.long());
                poll_once(others[which].as_mut()).await;
                if at % 64 == 0 {
                    yield_now().await;
                }
            }
        };
        run(TIMES / 10).await;
        each(TIMES, run(TIMES)).await
    })
}

/// Runs 100,000 tasks that each sleep until a random time within one second, with a slack in
/// milliseconds if the peer supports that. The figures include spawning, arming and joining.
fn timers_firing<P: Peer>(slack: u64) -> Figures {
    const COUNT: usize = 100_000;
    let slack = Duration::from_millis(slack);
    P::block_on(async {
        let late = Rc::new(Cell::new(Duration::ZERO));
        let mut random = Random(88172645463325252);
        let mut handles = Vec::with_capacity(COUNT);
        let nanos = each(COUNT, async {
            for _ in 0..COUNT {
                let late = late.clone();
                let limit = Duration::from_micros(500_000 + random.below(1_000_000));
                let deadline = Instant::now() + limit;
                handles.push(P::spawn(async move {
                    let limit = deadline.saturating_duration_since(Instant::now());
                    if slack.is_zero() {
                        P::sleep(limit).await;
                    } else {
                        P::sleep_with_slack(limit, slack).await;
                    }
                    late.set(late.get() + deadline.elapsed());
                }));
            }
            for handle in handles {
                handle.await;
            }
        })
        .await;
        let late = late.get().as_secs_f64() * 1e6 / COUNT as f64;
        vec![("ns", nanos), ("late_us", late)]
    })
}

/// Returns the mean lateness of a single sleep, in wall-clock time.
fn sleep_1ms<P: Peer>() -> f64 {
    const TIMES: u32 = 200;
    P::block_on(async {
        let mut late = Duration::ZERO;
        for _ in 0..TIMES {
            let start = Instant::now();
            P::sleep(Duration::from_millis(1)).await;
            late += start.elapsed().saturating_sub(Duration::from_millis(1));
        }
        late.as_secs_f64() * 1e6 / f64::from(TIMES)
    })
}

fn timeout_pending<P: Peer>() -> f64 {
    const TIMES: usize = 100_000;
    P::block_on(async {
        let run = async |times| {
            for _ in 0..times {
                let done = P::timeout(Duration::from_secs(30), yield_now()).await;
                assert!(done.is_some());
            }
        };
        run(TIMES / 10).await;
        each(TIMES, run(TIMES)).await
    })
}

/// Has each of many tasks arm a timeout, wait, and drop it, over and over: what a server does that
/// limits the time between two messages of a connection. Waiting is a yield, which is included.
fn timeouts<P: Peer>(tasks: usize) -> f64 {
    let times = 1_000_000 / tasks;
    P::block_on(async {
        let spawn_and_join = async |times: usize| {
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    P::spawn(async move {
                        for _ in 0..times {
                            let done = P::timeout(Duration::from_secs(30), yield_now()).await;
                            assert!(done.is_some());
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await;
            }
        };
        // The difference excludes the cost of spawning, which is in both.
        let few = each(1, spawn_and_join(times / 10)).await;
        let many = each(1, spawn_and_join(times + times / 10)).await;
        (many - few) / (times * tasks) as f64
    })
}

fn timeout_ready<P: Peer>() -> f64 {
    const TIMES: usize = 500_000;
    P::block_on(async {
        let run = async |times| {
            for at in 0..times {
                let done = P::timeout(Duration::from_secs(30), ready(at)).await;
                assert_eq!(std::hint::black_box(done), Some(at));
            }
        };
        run(TIMES / 10).await;
        each(TIMES, run(TIMES)).await
    })
}

/// Returns the wall-clock microseconds of a job, with all threads on one core.
fn blocking<P: Peer>() -> f64 {
    const TIMES: u32 = 10_000;
    P::block_on(async {
        let run = async |times| {
            for _ in 0..times {
                assert_eq!(P::spawn_blocking(|| 7).await, 7);
            }
        };
        run(TIMES / 10).await;
        let start = Instant::now();
        run(TIMES).await;
        start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    })
}
