//! How long a wait takes.

use std::time::Instant;

use super::*;

pub(super) fn a_limit_is_never_cut_short(stage: &mut Stage) {
    let limits = [1, 999, 1000, 1500, 20_000].map(Duration::from_micros);
    for limit in limits {
        let before = Instant::now();
        assert_eq!(stage.told(ONE, limit), NOTHING);
        assert!(before.elapsed() >= limit, "{limit:?}");
    }
}

pub(super) fn limits_of_any_length_are_taken(stage: &mut Stage) {
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

/// One that did would hang here, with nobody to end it.
pub(super) fn without_a_limit_to_wait_nothing_blocks(stage: &mut Stage) {
    let (ours, _theirs) = pair();
    assert_eq!(stage.add(&ours, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    for _ in 0..100 {
        assert_eq!(stage.now(ONE), NOTHING);
    }
}
