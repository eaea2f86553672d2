//! The duration of waits.

use std::time::Instant;

use super::*;

pub(super) fn a_wait_without_events_lasts_at_least_its_limit(stage: &mut Stage) {
    let limits = [1, 999, 1000, 1500, 20_000].map(Duration::from_micros);
    for limit in limits {
        let before = Instant::now();
        assert_eq!(stage.wait_once(ONE, limit), NOTHING);
        assert!(before.elapsed() >= limit, "{limit:?}");
    }
}

pub(super) fn limits_of_any_length_are_accepted(stage: &mut Stage) {
    let days = Duration::from_secs(100 * 24 * 60 * 60);
    for limit in [
        None,
        Some(Duration::MAX),
        Some(days),
        Some(Duration::from_nanos(1)),
    ] {
        stage.selector.notifier().notify().unwrap();
        stage.selector.wait(&mut stage.events, limit).unwrap();
        assert_eq!(stage.events, []);
    }
}

/// A wait that blocked would hang, because nothing ends it.
pub(super) fn a_wait_with_a_limit_of_zero_does_not_block(stage: &mut Stage) {
    let (ours, _theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    for _ in 0..100 {
        assert_eq!(stage.now(ONE), NOTHING);
    }
}
