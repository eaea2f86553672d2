//! Simulation: the same program in virtual time over a simulated network, replayed from a seed.

mod diagram;
mod entry;
mod faults;
mod hash;
mod trace;

pub use entry::{Entry, Event, Packet};
pub use faults::{Fault, FaultKind, Faults};
pub use trace::{Difference, Lines, Trace};
