//! A simulated kernel: sockets, pipes and a network of several hosts in virtual time.
//!
//! It is a backend like the others. Its selector is [`selector`], and [`calls`] are the system
//! calls that the crate `net` makes on it while a reactor of a host is entered. A world moves
//! [`kernel`]: time, links, faults. [`state`] is the state behind both; `inet`, `tcp_socket`,
//! `udp`, `unix` and `pipe` extend it by one kind of socket each. [`tcp`] is the pure state machine
//! of a connection, which `tcp_segments` drives, and [`readiness`] says what poll(2) would.
//!
//! A program holds a simulated socket by a real descriptor, its [`placeholder`]. So ownership,
//! duplicates and `AsFd` are those of any socket.

pub use self::address::UnixName;
pub use self::foreign::outside_simulation;
pub use self::host::Host;
pub use self::kernel::{Kernel, Observer};
pub use self::link::{Latency, Link};
pub use self::record::{Crash, Event, HostId, Packet, PacketKind, Reason, Record};
pub(super) use self::selector::Sim;
pub use self::socket::{SocketKind, SocketOption};
pub use self::udp::ReceivedDatagram;
pub use self::unix::ReceivedMessage;

mod address;
mod calls;
mod foreign;
mod host;
mod inet;
mod kernel;
mod link;
mod packet;
mod pipe;
mod placeholder;
mod readiness;
mod record;
mod selector;
mod socket;
mod state;
mod tcp;
mod tcp_segments;
mod tcp_socket;
#[cfg(all(test, not(loom)))]
mod tests;
mod udp;
mod unix;
