//! A link: what happens to packets on the way from one host to another.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::packet::InFlight;
use crate::rng::Rng;

/// The way from one host to another, in one direction.
///
/// Packets of one pair of addresses arrive in the order in which they were sent, unless
/// [`reorder`](Link::reorder) says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The time that a packet takes.
    pub latency: Latency,
    /// The probability that a packet is lost, in parts of a million.
    pub loss: u32,
    /// The probability that a datagram arrives twice, in parts of a million.
    pub duplication: u32,
    /// The probability that a packet may be overtaken by later ones, in parts of a million.
    pub reorder: u32,
    /// The number of bytes a second that the link carries. Without a limit if it is `None`.
    pub bandwidth: Option<u64>,
    /// The size of the longest packet, headers included. TCP divides its data accordingly; longer
    /// datagrams are fragmented, and lost if a fragment is.
    pub mtu: usize,
}

impl Default for Link {
    /// Returns a link of a local network: 0.1 to 1 ms, and no loss.
    fn default() -> Link {
        Link {
            latency: Latency::Uniform(Duration::from_micros(100), Duration::from_millis(1)),
            loss: 0,
            duplication: 0,
            reorder: 0,
            bandwidth: None,
            mtu: 1500,
        }
    }
}

/// The distribution of the time that a packet takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Anything between two limits, each equally likely.
    Uniform(Duration, Duration),
    /// Mostly somewhat less than `typical`; one packet in ten takes about three times as long, one
    /// in a hundred nine times, and so on.
    LongTail {
        /// The upper limit of nine packets in ten.
        typical: Duration,
        /// The upper limit of all packets.
        max: Duration,
    },
}

impl Latency {
    /// Draws a time.
    pub(super) fn draw(self, rng: &mut Rng) -> Duration {
        match self {
            Latency::Fixed(time) => time,
            Latency::Uniform(low, high) => between(rng, low, high),
            Latency::LongTail { typical, max } => {
                let mut time = between(rng, typical / 2, typical);
                while time < max && rng.chance(100_000) {
                    time = time.saturating_mul(3);
                }
                time.min(max)
            }
        }
    }
}

fn between(rng: &mut Rng, low: Duration, high: Duration) -> Duration {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.between(nanos(low), nanos(high.max(low))))
}

/// The state of a link, which decides the fate of its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Packets are dropped.
    Cut,
    /// Packets wait.
    Held,
}

/// A link and what is under way on it.
#[derive(Debug)]
pub(super) struct LinkState {
    pub(super) link: Link,
    pub(super) gate: Gate,
    /// The packets that wait until the link is healed.
    pub(super) held: VecDeque<InFlight>,
    /// When the sender has put everything on the wire.
    busy_until: Duration,
    /// When the last packet of each pair of addresses arrives. Past times are pruned.
    last_arrivals: BTreeMap<(SocketAddr, SocketAddr), Duration>,
}

impl LinkState {
    pub(super) fn new(link: Link) -> LinkState {
        LinkState {
            link,
            gate: Gate::Open,
            held: VecDeque::new(),
            busy_until: Duration::ZERO,
            last_arrivals: BTreeMap::new(),
        }
    }

    /// Returns the time at which a packet of `size` bytes that is sent now arrives.
    pub(super) fn arrival(
        &mut self,
        flow: (SocketAddr, SocketAddr),
        size: usize,
        now: Duration,
        rng: &mut Rng,
    ) -> Duration {
        let mut leaves = now;
        if let Some(bandwidth) = self.link.bandwidth {
            let nanos = (size as u128 * 1_000_000_000) / u128::from(bandwidth.max(1));
            let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            leaves = self.busy_until.max(now).saturating_add(takes);
            self.busy_until = leaves;
        }
        let arrives = leaves.saturating_add(self.link.latency.draw(rng));
        if rng.chance(self.link.reorder) {
            return arrives.saturating_add(self.link.latency.draw(rng));
        }
        if self.last_arrivals.len() >= 64 {
            self.last_arrivals.retain(|_, last| *last > now);
        }
        let last = self.last_arrivals.entry(flow).or_insert(arrives);
        *last = arrives.max(*last);
        *last
    }

    /// Returns true if a datagram finds no room in the queue before the wire: a second of traffic.
    pub(super) fn is_congested(&self, now: Duration) -> bool {
        self.busy_until > now.saturating_add(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn flow() -> (SocketAddr, SocketAddr) {
        (([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into())
    }

    #[test]
    fn a_long_tail_is_mostly_short_and_never_longer_than_its_limit() {
        let mut rng = Rng::new(1);
        let latency = Latency::LongTail {
            typical: 10 * MS,
            max: 200 * MS,
        };
        let drawn: Vec<_> = (0..10_000).map(|_| latency.draw(&mut rng)).collect();
        let typical = drawn.iter().filter(|time| **time <= 10 * MS).count();
        assert!((8_800..9_200).contains(&typical), "{typical}");
        assert!(drawn.iter().all(|time| *time <= 200 * MS));
        assert!(drawn.iter().any(|time| *time > 50 * MS));
    }

    #[test]
    fn packets_of_one_flow_do_not_overtake_one_another_unless_the_link_reorders() {
        let mut rng = Rng::new(2);
        let mut link = LinkState::new(Link {
            latency: Latency::Uniform(MS, 100 * MS),
            ..Link::default()
        });
        let arrivals = |link: &mut LinkState, rng: &mut Rng| -> Vec<Duration> {
            let one_by_one = 0..100_u32;
            one_by_one
                .map(|n| link.arrival(flow(), 100, n * MS, rng))
                .collect()
        };
        assert!(arrivals(&mut link, &mut rng).is_sorted());
        link.link.reorder = 500_000;
        assert!(!arrivals(&mut link, &mut rng).is_sorted());
    }

    #[test]
    fn a_limited_bandwidth_spaces_packets() {
        let mut rng = Rng::new(3);
        let mut link = LinkState::new(Link {
            latency: Latency::Fixed(MS),
            bandwidth: Some(1_000_000),
            ..Link::default()
        });
        let first = link.arrival(flow(), 1000, MS, &mut rng);
        let second = link.arrival(flow(), 1000, MS, &mut rng);
        assert_eq!((first, second), (3 * MS, 4 * MS));
        for _ in 0..1000 {
            link.arrival(flow(), 1000, MS, &mut rng);
        }
        assert!(link.is_congested(MS));
    }
}
