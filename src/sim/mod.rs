//! Simulation: the same program in virtual time over a simulated network, replayed from a seed.

mod builder;
mod current;
mod diagram;
mod entry;
mod failure;
mod faults;
mod hash;
mod host;
mod options;
mod record;
mod skew;
mod trace;
mod world;

pub use builder::Builder;
pub use current::{elapsed, note};
pub use entry::{Entry, Event, Packet};
pub use failure::{Failure, FailureKind};
pub use faults::{Fault, FaultKind, Faults};
pub use host::Result;
pub use runtime_reactor::sim::{Crash, Latency, Link};
pub use trace::{Difference, Lines, Trace};
pub use world::World;
