//! Simulation: the same program in virtual time over a simulated network, replayed from a seed.

mod builder;
mod current;
mod diagram;
mod entry;
mod explore;
mod failure;
mod faults;
mod hash;
mod host;
mod options;
mod progress;
mod record;
mod replay;
mod skew;
mod trace;
mod world;

pub use builder::Builder;
pub use current::{elapsed, note};
pub use entry::{Entry, Event, Packet};
pub use explore::{Explored, Explorer, FailedSeed, check_determinism, explore};
pub use failure::{Failure, FailureKind};
pub use faults::{Fault, FaultKind, Faults};
pub use host::Result;
pub use runtime_reactor::sim::{Crash, Latency, Link};
pub use trace::{Difference, Lines, Trace};
pub use world::World;
