//! Deadlines that are due already, ticks that are late, and requests to move the clock that
//! overlap.

use std::future::Future;

use runtime::time::sleep_until;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Returns true if the first poll of `future` completes it.
async fn is_ready_at_once(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[test]
fn a_sleep_that_is_due_completes_at_its_first_poll_and_moves_nothing() {
    paused().block_on(async {
        let start = Instant::now();
        assert!(is_ready_at_once(sleep(Duration::ZERO)).await);
        assert!(is_ready_at_once(sleep_until(start - SECOND)).await);
        assert!(is_ready_at_once(sleep_until(std::time::Instant::now() - HOUR)).await);
        // Others run between many of them.
        let other = spawn(async {});
        for _ in 0..1_000 {
            sleep(Duration::ZERO).await;
        }
        assert!(other.is_finished());
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a_sleep_of_a_part_of_a_millisecond_moves_the_clock_by_that() {
    paused().block_on(async {
        let start = Instant::now();
        for nanos in [1, 999, 1_500_000] {
            let before = start.elapsed();
            sleep(Duration::from_nanos(nanos)).await;
            assert_eq!(start.elapsed() - before, Duration::from_nanos(nanos));
        }
    });
}

#[test]
fn a_timeout_of_zero_polls_its_future_once() {
    paused().block_on(async {
        let start = Instant::now();
        assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
        assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
        assert!(timeout(Duration::ZERO, yield_now()).await.is_err());
        assert!(timeout(Duration::ZERO, sleep(Duration::ZERO)).await.is_ok());
        assert_eq!(start.elapsed(), Duration::ZERO);
        // What completes at the limit is in time.
        assert!(timeout(SECOND, sleep(SECOND)).await.is_ok());
        let later = sleep(SECOND + Duration::from_nanos(1));
        assert!(timeout(SECOND, later).await.is_err());
        assert_eq!(start.elapsed(), 2 * SECOND);
    });
}

/// The table in the documentation of the type.
#[test]
fn ticks_that_an_advance_has_made_late_follow_the_policy() {
    for (policy, expected) in [
        (
            MissedTickBehavior::Burst,
            [(200, 250), (300, 300), (400, 400)],
        ),
        (
            MissedTickBehavior::Delay,
            [(200, 250), (350, 350), (450, 450)],
        ),
        (
            MissedTickBehavior::Skip,
            [(200, 250), (300, 300), (400, 400)],
        ),
    ] {
        paused().block_on(async {
            let start = Instant::now();
            let mut ticks = interval(100 * MILLISECOND);
            ticks.set_missed_tick_behavior(policy);
            ticks.tick().await;
            ticks.tick().await;
            time::advance(150 * MILLISECOND).await;
            for (due, completed) in expected {
                assert_eq!(ticks.tick().await, start + due * MILLISECOND, "{policy:?}");
                assert_eq!(start.elapsed(), completed * MILLISECOND, "{policy:?}");
            }
        });
    }
}

#[test]
fn an_advance_lets_each_tick_of_another_task_complete_when_it_is_due() {
    paused().block_on(async {
        let start = Instant::now();
        let ticked = Rc::new(RefCell::new(Vec::new()));
        let noted = ticked.clone();
        let ticking = spawn(async move {
            let mut ticks = interval(SECOND);
            loop {
                let due = ticks.tick().await;
                noted.borrow_mut().push((due, Instant::now()));
            }
        });
        time::advance(3 * SECOND + SECOND / 2).await;
        let exactly = [0, 1, 2, 3].map(|n| (start + n * SECOND, start + n * SECOND));
        assert_eq!(*ticked.borrow(), exactly);
        ticking.abort();
    });
}

#[test]
fn an_advance_by_nothing_fires_what_is_due_and_no_more() {
    paused().block_on(async {
        let due = spawn(async {
            sleep(Duration::ZERO).await;
            yield_now().await;
        });
        let later = spawn(sleep(Duration::from_nanos(1)));
        time::advance(Duration::ZERO).await;
        assert_eq!((due.is_finished(), later.is_finished()), (true, false));
        time::advance(Duration::from_nanos(1)).await;
        assert!(later.is_finished());
    });
}

#[test]
fn advances_that_begin_at_the_same_instant_overlap() {
    paused().block_on(async {
        let start = Instant::now();
        let ended = runtime::join!(
            async {
                time::advance(SECOND).await;
                start.elapsed()
            },
            async {
                time::advance(3 * SECOND).await;
                start.elapsed()
            },
            async {
                sleep(2 * SECOND).await;
                start.elapsed()
            },
        );
        assert_eq!(ended, (SECOND, 3 * SECOND, 2 * SECOND));
        // One after the other they add up.
        time::advance(SECOND).await;
        time::advance(SECOND).await;
        assert_eq!(start.elapsed(), 5 * SECOND);
    });
}

#[test]
fn an_advance_inside_another_begins_where_the_clock_stands_then() {
    paused().block_on(async {
        let events = Events::default();
        let start = Instant::now();
        let noted = events.clone();
        let inner = spawn(async move {
            sleep(SECOND).await;
            time::advance(SECOND).await;
            noted.add(start, "ends inside the outer one");
            time::advance(5 * SECOND).await;
            noted.add(start, "ends after the outer one");
        });
        let noted = events.clone();
        let timer = spawn(async move {
            sleep(4 * SECOND).await;
            noted.add(start, "timer");
        });
        time::advance(3 * SECOND).await;
        events.add(start, "the outer one ends");
        assert!(!inner.is_finished() && !timer.is_finished());
        inner.await.unwrap();
        let expected = [
            (2, "ends inside the outer one"),
            (3, "the outer one ends"),
            (4, "timer"),
            (7, "ends after the outer one"),
        ];
        assert_eq!(events.take(), expected);
    });
}

#[test]
fn an_advance_of_any_length_completes() {
    paused().block_on(async {
        let start = Instant::now();
        time::advance(Duration::MAX).await;
        let passed = start.elapsed();
        assert!(passed > 24 * 365 * 20 * HOUR, "{passed:?}");
        sleep(SECOND).await;
        assert_eq!(start.elapsed(), passed + SECOND);
    });
}
