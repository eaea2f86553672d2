//! The builder of a world.

use std::time::Duration;

use runtime_reactor::sim::Latency;

use super::faults::Faults;
use super::options::Options;
use super::skew::Skew;
use super::world::World;

/// Builder of a [`World`] with options.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::sim::{Builder, Latency};
///
/// let mut world = Builder::new()
///     .seed(7)
///     .latency(Latency::Uniform(Duration::from_millis(1), Duration::from_millis(20)))
///     .loss(0.01)
///     .build();
/// world.client("client", async {
///     runtime::time::sleep(Duration::from_secs(3600)).await; // takes no real time
///     Ok(())
/// });
/// world.run().unwrap();
/// assert_eq!(world.elapsed(), Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    options: Options,
}

impl Builder {
    /// Creates a builder with default options.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets the seed, which decides all that is random: the order of tasks and hosts, latencies,
    /// losses and faults. Default 0.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.options.seed = seed;
        self
    }

    /// Sets the time that a packet takes from one host to another. Default from 0.1 to 1 ms.
    pub fn latency(mut self, latency: Latency) -> Builder {
        self.options.link.latency = latency;
        self
    }

    /// Sets the probability that a packet is lost, from 0.0 to 1.0. Default 0.0.
    ///
    /// TCP sends a lost segment again, so programs see the loss as latency.
    ///
    /// # Panics
    /// Panics if the probability is not from 0.0 to 1.0.
    #[track_caller]
    pub fn loss(mut self, probability: f64) -> Builder {
        self.options.link.loss = parts("loss", probability);
        self
    }

    /// Sets the probability that a datagram arrives twice, from 0.0 to 1.0. Default 0.0.
    ///
    /// # Panics
    /// Panics if the probability is not from 0.0 to 1.0.
    #[track_caller]
    pub fn duplication(mut self, probability: f64) -> Builder {
        self.options.link.duplication = parts("duplication", probability);
        self
    }

    /// Sets the probability that a packet may be overtaken by later ones, from 0.0 to 1.0.
    /// Default 0.0.
    ///
    /// # Panics
    /// Panics if the probability is not from 0.0 to 1.0.
    #[track_caller]
    pub fn reorder(mut self, probability: f64) -> Builder {
        self.options.link.reorder = parts("reorder", probability);
        self
    }

    /// Sets the number of bytes a second that the way from one host to another carries. Default: no
    /// limit.
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Builder {
        self.options.link.bandwidth = Some(bytes_per_second);
        self
    }

    /// Sets how far the clock of a host is ahead, and how many microseconds it gains in a second,
    /// or loses if `drift` is negative. Default zero.
    ///
    /// The clock is that of [`time`](crate::time). A clock that gains 1,000 microseconds in a
    /// second ends a `sleep` of 1,001 ms after one second of virtual time.
    pub fn clock_skew(mut self, host: impl Into<String>, ahead: Duration, drift: i32) -> Builder {
        self.options
            .skews
            .insert(host.into(), Skew { ahead, drift });
        self
    }

    /// Sets the virtual time after which [`World::run`] fails. Default 24 hours.
    pub fn max_time(mut self, limit: Duration) -> Builder {
        self.options.max_time = limit;
        self
    }

    /// Sets how many turns of hosts the world makes at one instant of virtual time before the run
    /// fails, because some task never comes to rest. Default 100,000.
    pub fn max_turns(mut self, limit: u64) -> Builder {
        self.options.max_turns = limit;
        self
    }

    /// Sets the faults of hosts and network that may happen. Default none.
    pub fn faults(mut self, faults: Faults) -> Builder {
        self.options.faults = Some(faults);
        self
    }

    /// Creates the world, without hosts.
    pub fn build(self) -> World {
        World::new(self.options)
    }
}

/// Returns a probability in parts of a million.
#[track_caller]
fn parts(what: &str, probability: f64) -> u32 {
    assert!(
        (0.0..=1.0).contains(&probability),
        "{what} of {probability}: a probability is from 0.0 to 1.0"
    );
    // At most a million, because of the check.
    (probability * 1e6).round() as u32
}
