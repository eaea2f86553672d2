//! Sleeps, timeouts and intervals. Tests of order have a paused clock, and assert the exact time.
//! The others assert that no timer is early; none asserts how late a timer may be.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use runtime::Runtime;
use runtime::time::{
    Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout, timeout_at,
};

const TICK: Duration = Duration::from_millis(2);

#[runtime::test]
async fn a_sleep_is_never_early() {
    for micros in [0, 1, 50, 999, 1001, 2500] {
        let duration = Duration::from_micros(micros);
        let start = Instant::now();
        sleep(duration).await;
        assert!(start.elapsed() >= duration);
    }
}

#[runtime::test(start_paused = true)]
async fn sleeps_end_in_the_order_of_their_deadlines() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    let tasks: Vec<_> = [3, 1, 2]
        .map(|n| {
            let order = order.clone();
            runtime::spawn(async move {
                sleep_until(start + TICK * n).await;
                order.borrow_mut().push(n);
            })
        })
        .into();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.borrow(), [1, 2, 3]);
    assert_eq!(start.elapsed(), TICK * 3);
}

#[runtime::test(start_paused = true)]
async fn a_reset_applies_to_a_sleep_that_is_being_awaited() {
    let start = Instant::now();
    let mut sleep = sleep(Duration::from_secs(3600));
    poll_fn(|cx| {
        assert!(Pin::new(&mut sleep).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    sleep.reset(start + TICK);
    (&mut sleep).await;
    assert_eq!(start.elapsed(), TICK);
    assert!(sleep.is_elapsed());
    sleep.reset(start + TICK * 2);
    sleep.await;
    assert_eq!(start.elapsed(), TICK * 2);
}

#[runtime::test(start_paused = true)]
async fn a_sleep_that_never_ends_can_be_created_and_dropped() {
    let forever = sleep(Duration::MAX);
    assert!(timeout(TICK, forever).await.is_err());
}

#[test]
fn a_timeout_of_a_ready_future_arms_no_timer() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
        assert_eq!(timeout_at(Instant::now() - TICK, async { 2 }).await, Ok(2));
    });
    assert_eq!(runtime.stats().timers, 0);
    assert_eq!(runtime.stats().waits, 0);
}

#[runtime::test(start_paused = true)]
async fn a_timeout_of_a_pending_future_converts_to_timed_out() {
    let start = Instant::now();
    let elapsed = timeout(TICK, pending::<()>()).await.unwrap_err();
    assert_eq!(start.elapsed(), TICK);
    assert_eq!(
        std::io::Error::from(elapsed).kind(),
        std::io::ErrorKind::TimedOut
    );
}

#[runtime::test(start_paused = true)]
async fn a_timeout_of_a_borrowed_future_does_not_drop_it() {
    let mut slow = pin!(async {
        sleep(TICK * 3).await;
        9
    });
    let start = Instant::now();
    while timeout(TICK, slow.as_mut()).await.is_err() {}
    assert_eq!(start.elapsed(), TICK * 3);
}

#[test]
fn a_dropped_sleep_leaves_no_timer() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut sleeps: Vec<_> = (0..1000)
            .map(|_| sleep(Duration::from_secs(3600)))
            .collect();
        poll_fn(|cx| {
            for sleep in &mut sleeps {
                assert!(Pin::new(sleep).poll(cx).is_pending());
            }
            Poll::Ready(())
        })
        .await;
    });
    assert_eq!(runtime.stats().timers, 0);
}

#[runtime::test(start_paused = true)]
async fn an_interval_ticks_at_once_and_then_every_period() {
    let start = Instant::now();
    let mut interval = interval(TICK);
    let first = interval.tick().await;
    for n in 1..4 {
        assert_eq!(interval.tick().await, first + TICK * n);
        assert_eq!(start.elapsed(), TICK * n);
    }
}

#[runtime::test(start_paused = true)]
async fn an_interval_that_missed_ticks_bursts_or_skips() {
    let start = Instant::now() - TICK * 3 - TICK / 2;
    let mut burst = interval_at(start, TICK);
    for n in 0..4 {
        assert_eq!(burst.tick().await, start + TICK * n);
    }
    let mut skip = interval_at(start, TICK);
    skip.set_missed_tick_behavior(MissedTickBehavior::Skip);
    assert_eq!(skip.tick().await, start);
    let next = skip.tick().await;
    assert_eq!(next, start + TICK * 4, "a multiple of the period");
}

/// The clock runs, because it has to pass without a turn.
#[runtime::test]
async fn an_interval_notices_what_its_task_missed_without_a_turn() {
    let period = TICK;
    for behavior in [MissedTickBehavior::Skip, MissedTickBehavior::Delay] {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(behavior);
        let first = interval.tick().await;
        let second = first + period;
        // The timer of the second tick fires, and the task blocks before it takes the tick.
        sleep_until(second).await;
        while Instant::now() < second + period * 2 {}
        let before = Instant::now();
        assert_eq!(interval.tick().await, second);
        let third = interval.tick().await;
        if behavior == MissedTickBehavior::Skip {
            assert!(third > before, "no missed tick follows");
            assert_eq!((third - first).as_nanos() % period.as_nanos(), 0);
        } else {
            assert!(third >= before + period, "a whole period later");
        }
    }
}

#[runtime::test(start_paused = true)]
async fn a_reset_moves_the_next_tick_of_an_interval_and_those_after_it() {
    let hour = Duration::from_secs(3600);
    let mut interval = interval(hour);
    interval.tick().await;
    let before = Instant::now();
    interval.reset_immediately();
    let due = interval.tick().await;
    assert_eq!(due, before);
    interval.reset_after(TICK);
    let due = interval.tick().await;
    assert_eq!((due, Instant::now()), (before + TICK, before + TICK));
    interval.reset_at(before);
    assert_eq!(interval.tick().await, before);
    // The period begins there.
    assert!(timeout(TICK, interval.tick()).await.is_err());
    assert_eq!(interval.tick().await, before + hour);
    interval.reset_after(Duration::MAX);
    assert!(timeout(hour * 24 * 365, interval.tick()).await.is_err());
    interval.reset();
    let now = Instant::now();
    assert!(timeout(TICK, interval.tick()).await.is_err());
    assert_eq!(interval.tick().await, now + hour);
}

#[test]
#[should_panic(expected = "period of zero")]
fn an_interval_with_a_period_of_zero_panics() {
    drop(interval(Duration::ZERO));
}

#[test]
fn a_task_that_never_waits_does_not_starve_a_timer() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let busy = runtime::spawn(async {
            loop {
                runtime::task::yield_now().await;
            }
        });
        sleep(TICK).await; // would hang if the timer starved
        busy.abort();
    });
    assert!(runtime.stats().timers_fired >= 1);
}

#[runtime::test(start_paused = true)]
async fn an_interval_is_a_stream_of_the_instants_at_which_it_was_due() {
    use futures_core::Stream;
    let period = TICK;
    let start = Instant::now() + period;
    let mut interval = pin!(interval_at(start, period));
    let mut ticks = Vec::new();
    for n in 0..3 {
        ticks.extend(poll_fn(|cx| interval.as_mut().poll_next(cx)).await);
        assert_eq!(Instant::now(), start + n * period);
    }
    assert_eq!(ticks, [start, start + period, start + 2 * period]);
}

#[runtime::test(start_paused = true)]
async fn a_sleep_with_slack_is_never_early_nor_later_than_its_slack() {
    for micros in [0, 1, 50, 999, 1001, 2500] {
        let duration = Duration::from_micros(micros);
        for slack in [0, 1, 700, 1_000, 5_000] {
            let start = Instant::now();
            let slack = Duration::from_micros(slack);
            let mut sleep = sleep(duration).slack(slack);
            (&mut sleep).await;
            let window = duration..=duration + slack;
            assert!(window.contains(&start.elapsed()), "{window:?}");
            let again = Instant::now();
            sleep.reset(again + duration);
            sleep.await;
            assert!(window.contains(&again.elapsed()), "{window:?}");
        }
    }
}

#[test]
fn sleeps_with_slack_end_in_few_wake_ups() {
    let slack = Duration::from_millis(10);
    let builder = Runtime::builder().start_paused(true);
    let runtime = builder.build().unwrap();
    let ends = runtime.block_on(async {
        let start = Instant::now();
        let sleep = |n: u64| async move {
            let duration = Duration::from_micros(20_000 + 100 * n);
            sleep(duration).slack(slack).await;
            let ended = start.elapsed();
            assert!((duration..=duration + slack).contains(&ended), "{ended:?}");
            ended
        };
        let sleeps: Vec<_> = (0..1_000).map(|n| runtime::spawn(sleep(n))).collect();
        let mut ends = BTreeSet::new();
        for sleep in sleeps {
            ends.insert(sleep.await.unwrap());
        }
        ends
    });
    assert_eq!(runtime.stats().timers_fired, 1_000);
    // Multiples of 2^23 nanoseconds within 110 milliseconds.
    assert!(ends.len() <= 14, "{ends:?}");
    // The clock moves with a look before and a look after, and some turns do not wait.
    assert!(runtime.stats().waits <= 2 * 14 + 1_000 / 32);
}

#[runtime::test(start_paused = true)]
async fn a_slack_set_while_a_sleep_is_awaited_applies_to_it() {
    let start = Instant::now();
    let mut pending = pin!(sleep(TICK));
    poll_fn(|cx| {
        assert!(pending.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    let moved = std::mem::replace(&mut *pending, sleep(TICK));
    moved.slack(TICK).await;
    assert!((TICK..=2 * TICK).contains(&start.elapsed()));
}

#[runtime::test(start_paused = true)]
async fn an_interval_with_slack_keeps_its_period() {
    for behavior in [
        MissedTickBehavior::Burst,
        MissedTickBehavior::Delay,
        MissedTickBehavior::Skip,
    ] {
        let mut interval = interval(TICK).slack(TICK / 2);
        interval.set_missed_tick_behavior(behavior);
        let first = interval.tick().await;
        for n in 1..20 {
            let due = first + n * TICK;
            assert_eq!(interval.tick().await, due);
            assert!((due..=due + TICK / 2).contains(&Instant::now()));
        }
    }
}
