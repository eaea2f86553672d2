//! Simulation: the same program in virtual time over a simulated network, replayed from a seed.
//!
//! A [`World`] has hosts, each a runtime of its own on one thread, and the network between them.
//! Programs use [`net`](crate::net), [`time`](crate::time) and libraries on top as they do outside.
//! The hosts run until none has anything to do; then time moves to the next packet or timer. All
//! that is random comes from the seed, so a run can be repeated exactly.
//!
//! The guide [testing](crate::guide::testing) explains how to test with it, and what breaks
//! determinism. The example `sim_kv` is a replicated store whose planted bug is found.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use runtime::net::UdpSocket;
//! use runtime::sim;
//! use runtime::time::timeout;
//!
//! sim::explore(0..10, |world| {
//!     world.host("server", || async {
//!         let socket = UdpSocket::bind("0.0.0.0:53").await?;
//!         let mut buf = [0; 512];
//!         loop {
//!             let (len, peer) = socket.recv_from(&mut buf).await?;
//!             socket.send_to(&buf[..len], peer).await?;
//!         }
//!     });
//!     world.client("client", async {
//!         let socket = UdpSocket::bind("0.0.0.0:0").await?;
//!         let mut buf = [0; 512];
//!         loop {
//!             socket.send_to(b"hello", "server:53").await?;
//!             let answer = socket.recv_from(&mut buf);
//!             if timeout(Duration::from_secs(1), answer).await.is_ok() {
//!                 return Ok(()); // a datagram that is lost is sent again
//!             }
//!         }
//!     });
//!     world.run()?;
//!     Ok(())
//! });
//! ```
//!
//! # Parts
//!
//! | for | items |
//! |---|---|
//! | hosts and their faults | [`World`], [`Handle`], [`Builder`], [`Link`], [`Crash`], [`Faults`] |
//! | many seeds | [`explore()`], [`Explorer`], [`check_determinism`] |
//! | the history of a run | [`Trace`], [`Entry`], [`Event`], [`note`], [`elapsed`] |
//! | the end of a run | [`Result`], [`Failure`], [`FailureKind`], [`FailedSeed`] |

mod builder;
mod current;
mod diagram;
mod entry;
mod explore;
mod failure;
mod faults;
mod handle;
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
pub use handle::Handle;
pub use host::Result;
pub use runtime_reactor::sim::{Crash, Latency, Link};
pub use trace::{Difference, Lines, Trace};
pub use world::World;
