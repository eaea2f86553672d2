//! The options of a world.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime_reactor::sim::Link;

use super::faults::Faults;
use super::skew::Skew;

/// The options of a world, which its builder sets.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) seed: u64,
    pub(super) link: Link,
    /// The clocks of the hosts that are not exact.
    pub(super) skews: BTreeMap<String, Skew>,
    pub(super) max_time: Duration,
    /// The maximum number of turns at one instant of virtual time.
    pub(super) max_turns: u64,
    pub(super) faults: Option<Faults>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 0,
            link: Link::default(),
            skews: BTreeMap::new(),
            max_time: Duration::from_secs(24 * 3600),
            max_turns: 100_000,
            faults: None,
        }
    }
}
