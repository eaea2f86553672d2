//! Fault plans: crashes, partitions and held messages at random times, all of which end.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use runtime_reactor::internal::Rng;

/// The faults that a simulated world may suffer. The seed decides which of them happen,
/// when, and for how long.
///
/// The numbers are upper bounds: some seeds have none of a kind. All faults have ended at the end
/// of the [window](Faults::within), so a program that retries long enough succeeds.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::sim::Faults;
///
/// let faults = Faults::default()
///     .crashes(2)
///     .partitions(3)
///     .within(Duration::from_secs(1), Duration::from_secs(20))
///     .lasting(Duration::from_millis(100)..=Duration::from_secs(3));
/// let hosts = ["a", "b", "c"];
/// let plan = faults.plan(7, &hosts);
/// assert_eq!(plan, faults.plan(7, &hosts));
/// for fault in &plan {
///     assert!(fault.ends <= Duration::from_secs(20));
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "faults have no effect until a world is built with them"]
pub struct Faults {
    crashes: usize,
    partitions: usize,
    holds: usize,
    begin: Duration,
    end: Duration,
    shortest: Duration,
    longest: Duration,
    max_down: usize,
    hosts: Option<Vec<String>>,
}

impl Default for Faults {
    /// Returns no faults, in a window from 0.5 to 30 seconds, of 10 milliseconds to 5 seconds.
    fn default() -> Faults {
        Faults {
            crashes: 0,
            partitions: 0,
            holds: 0,
            begin: Duration::from_millis(500),
            end: Duration::from_secs(30),
            shortest: Duration::from_millis(10),
            longest: Duration::from_secs(5),
            max_down: usize::MAX,
            hosts: None,
        }
    }
}

/// A fault of a plan. Returned by [`Faults::plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The virtual time at which it begins.
    pub begins: Duration,
    /// The virtual time at which it ends.
    pub ends: Duration,
    /// The kind of the fault, and the hosts that it concerns.
    pub kind: FaultKind,
}

/// The kind of a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A host crashes. At the end of the fault it restarts.
    Crash {
        /// The host.
        host: String,
        /// True if its connections are not reset, as if the whole machine had failed.
        silent: bool,
    },
    /// Packets between two hosts are lost, in both directions.
    Partition {
        /// The one host.
        one: String,
        /// The other host.
        other: String,
    },
    /// Packets between two hosts wait until the end of the fault, in both directions.
    Hold {
        /// The one host.
        one: String,
        /// The other host.
        other: String,
    },
}

impl Faults {
    /// Sets the maximum number of crashes. Default 0.
    pub fn crashes(mut self, count: usize) -> Faults {
        self.crashes = count;
        self
    }

    /// Sets the maximum number of partitions. Default 0.
    pub fn partitions(mut self, count: usize) -> Faults {
        self.partitions = count;
        self
    }

    /// Sets the maximum number of times that packets between two hosts are held. Default 0.
    pub fn holds(mut self, count: usize) -> Faults {
        self.holds = count;
        self
    }

    /// Sets the virtual time in which faults begin and end. Default from 0.5 to 30 seconds.
    ///
    /// # Panics
    /// Panics if `end` is not later than `begin`.
    #[track_caller]
    pub fn within(mut self, begin: Duration, end: Duration) -> Faults {
        assert!(
            begin < end,
            "faults within {begin:?} to {end:?}: the end must be later"
        );
        (self.begin, self.end) = (begin, end);
        self
    }

    /// Sets how long a fault lasts. Default from 10 milliseconds to 5 seconds. A fault near the end
    /// of the window is shorter.
    ///
    /// # Panics
    /// Panics if the range is empty.
    #[track_caller]
    pub fn lasting(mut self, range: RangeInclusive<Duration>) -> Faults {
        assert!(
            !range.is_empty(),
            "faults that last {range:?}: the range is empty"
        );
        (self.shortest, self.longest) = range.into_inner();
        self
    }

    /// Sets the maximum number of hosts that are down at the same time. Default: no limit.
    pub fn max_down(mut self, count: usize) -> Faults {
        self.max_down = count;
        self
    }

    /// Sets the hosts that may crash. Default: all, except clients.
    ///
    /// Partitions and holds concern every pair of hosts, clients included.
    pub fn crashable<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Faults {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Returns the plan for a seed, sorted by the beginning of the faults.
    ///
    /// A host that is down does not crash again, and a pair of hosts has one fault at a time.
    pub fn plan<S: AsRef<str>>(&self, seed: u64, hosts: &[S]) -> Vec<Fault> {
        let hosts: Vec<&str> = hosts.iter().map(AsRef::as_ref).collect();
        self.plan_for(&Rng::new(seed), &hosts, &hosts)
    }

    /// Returns the plan where only some of the hosts crash, if no others are named.
    pub(super) fn plan_for(&self, rng: &Rng, crashable: &[&str], hosts: &[&str]) -> Vec<Fault> {
        let named: Option<Vec<&str>> = self
            .hosts
            .as_ref()
            .map(|named| named.iter().map(|name| &**name).collect());
        let crashable = named.as_deref().unwrap_or(crashable);
        // Each kind has a generator of its own, so that one more partition moves no crash.
        let mut plan = self.crash_plan(&mut rng.fork(1), crashable);
        let mut busy = Busy::default();
        let kinds: [(usize, u64, Pair); 2] = [
            (self.partitions, 2, |one, other| FaultKind::Partition {
                one,
                other,
            }),
            (self.holds, 3, |one, other| FaultKind::Hold { one, other }),
        ];
        for (most, label, kind) in kinds {
            let rng = &mut rng.fork(label);
            for _ in 0..self.count(rng, most) {
                let (begins, ends) = self.span(rng);
                let Some((one, other)) = pair(rng, hosts) else {
                    continue;
                };
                if busy.take((one, other), begins, ends) {
                    let kind = kind(one.to_owned(), other.to_owned());
                    plan.push(Fault { begins, ends, kind });
                }
            }
        }
        plan.sort_by_key(|fault| (fault.begins, fault.ends));
        plan
    }

    fn crash_plan(&self, rng: &mut Rng, hosts: &[&str]) -> Vec<Fault> {
        let mut plan: Vec<Fault> = Vec::new();
        let mut busy = Busy::default();
        for _ in 0..self.count(rng, self.crashes) {
            let (begins, ends) = self.span(rng);
            let silent = rng.below(2) == 1;
            if hosts.is_empty() {
                continue;
            }
            let host = hosts[rng.below(hosts.len() as u64) as usize];
            let overlaps = |fault: &&Fault| fault.begins <= ends && begins <= fault.ends;
            // An upper bound: these need not all be down at one moment.
            let down = plan.iter().filter(overlaps).count();
            if down < self.max_down && busy.take((host, ""), begins, ends) {
                let kind = FaultKind::Crash {
                    host: host.to_owned(),
                    silent,
                };
                plan.push(Fault { begins, ends, kind });
            }
        }
        plan
    }

    fn count(&self, rng: &mut Rng, most: usize) -> usize {
        rng.between(0, most as u64) as usize
    }

    /// Draws the beginning and the end of a fault.
    fn span(&self, rng: &mut Rng) -> (Duration, Duration) {
        let begins = draw(rng, self.begin, self.end);
        let lasts = draw(rng, self.shortest, self.longest);
        (begins, begins.saturating_add(lasts).min(self.end))
    }
}

type Pair = fn(String, String) -> FaultKind;

/// The times in which a host, or a pair of hosts, already has a fault.
#[derive(Default)]
struct Busy<'a>(BTreeMap<(&'a str, &'a str), Vec<(Duration, Duration)>>);

impl<'a> Busy<'a> {
    /// Returns true if the time was free. It is taken then.
    fn take(&mut self, place: (&'a str, &'a str), begins: Duration, ends: Duration) -> bool {
        let taken = self.0.entry(place).or_default();
        let free = taken.iter().all(|(from, to)| *to < begins || ends < *from);
        if free {
            taken.push((begins, ends));
        }
        free
    }
}

fn draw(rng: &mut Rng, low: Duration, high: Duration) -> Duration {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.between(nanos(low), nanos(high)))
}

/// Draws two different hosts, in the order of the list.
fn pair<'a>(rng: &mut Rng, hosts: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let count = hosts.len() as u64;
    if count < 2 {
        return None;
    }
    let one = rng.below(count) as usize;
    let other = (one + 1 + rng.below(count - 1) as usize) % hosts.len();
    Some((hosts[one.min(other)], hosts[one.max(other)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [&str; 4] = ["a", "b", "c", "d"];

    fn many() -> Faults {
        Faults::default()
            .crashes(6)
            .partitions(6)
            .holds(6)
            .within(Duration::from_secs(1), Duration::from_secs(9))
            .lasting(Duration::from_millis(5)..=Duration::from_secs(4))
    }

    fn places(kind: &FaultKind) -> Vec<String> {
        match kind {
            FaultKind::Crash { host, .. } => vec![host.clone()],
            FaultKind::Partition { one, other } | FaultKind::Hold { one, other } => {
                vec![one.clone(), other.clone()]
            }
        }
    }

    #[test]
    fn all_faults_begin_and_end_within_the_window() {
        for seed in 0..500 {
            for fault in many().plan(seed, &HOSTS) {
                assert!(fault.begins >= Duration::from_secs(1), "{seed}: {fault:?}");
                assert!(fault.begins <= fault.ends, "{seed}: {fault:?}");
                assert!(fault.ends <= Duration::from_secs(9), "{seed}: {fault:?}");
            }
        }
    }

    #[test]
    fn no_place_has_two_faults_at_a_time() {
        for seed in 0..500 {
            let plan = many().plan(seed, &HOSTS);
            for (index, one) in plan.iter().enumerate() {
                for other in &plan[index + 1..] {
                    let apart = one.ends < other.begins || other.ends < one.begins;
                    let same = places(&one.kind) == places(&other.kind);
                    assert!(apart || !same, "{seed}: {one:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn the_seeds_together_reach_every_kind_host_and_pair() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let plan = many().plan(seed, &HOSTS);
            kinds.extend(plan.iter().map(|fault| format!("{:?}", fault.kind)));
        }
        // Four hosts crash in two ways; six pairs are cut or held.
        assert_eq!(kinds.len(), 4 * 2 + 6 + 6, "{kinds:?}");
    }

    #[test]
    fn the_numbers_are_upper_bounds_and_some_seeds_have_none() {
        let faults = Faults::default().crashes(2);
        let counts: Vec<usize> = (0..200)
            .map(|seed| faults.plan(seed, &HOSTS).len())
            .collect();
        assert!(counts.iter().all(|count| *count <= 2));
        assert!((0..=2).all(|count| counts.contains(&count)));
        assert!(Faults::default().plan(1, &HOSTS).is_empty());
    }

    #[test]
    fn more_partitions_move_no_crash() {
        let crashes = |faults: Faults| {
            let mut plan = faults.plan(3, &HOSTS);
            plan.retain(|fault| matches!(fault.kind, FaultKind::Crash { .. }));
            plan
        };
        let faults = Faults::default().crashes(9);
        assert!(!crashes(faults.clone()).is_empty());
        assert_eq!(crashes(faults.clone()), crashes(faults.partitions(9)));
    }

    #[test]
    fn no_more_hosts_are_down_than_allowed() {
        for seed in 0..300 {
            let plan = many().partitions(0).holds(0).max_down(1).plan(seed, &HOSTS);
            for pair in plan.windows(2) {
                assert!(pair[0].ends < pair[1].begins, "{seed}: {pair:?}");
            }
        }
        assert!(
            many()
                .partitions(0)
                .holds(0)
                .max_down(0)
                .plan(1, &HOSTS)
                .is_empty()
        );
    }

    #[test]
    fn only_named_hosts_crash() {
        for seed in 0..100 {
            for fault in many().crashable(["c"]).plan(seed, &HOSTS) {
                if let FaultKind::Crash { host, .. } = fault.kind {
                    assert_eq!(host, "c");
                }
            }
        }
    }

    #[test]
    fn one_host_alone_has_no_partitions_and_none_has_no_faults() {
        let crashes = |fault: &Fault| matches!(fault.kind, FaultKind::Crash { .. });
        for seed in 0..50 {
            assert!(many().plan(seed, &["a"]).iter().all(crashes));
            assert!(many().plan::<&str>(seed, &[]).is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "faults within 2s to 1s: the end must be later")]
    fn a_window_that_ends_before_it_begins_is_rejected() {
        let _ = Faults::default().within(Duration::from_secs(2), Duration::from_secs(1));
    }
}
