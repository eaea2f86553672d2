//! System calls of UDP sockets: datagrams with ancillary data, batches, and options.

mod message;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod mmsg;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod one_by_one;
mod options;

#[cfg(fuzzing)]
pub use message::fuzz;
pub(crate) use message::{recv, send};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use mmsg::{recv_batch, send_batch};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use one_by_one::{recv_batch, send_batch};
pub(crate) use options::{
    MulticastV4, max_segments, set_dont_fragment, set_gro, set_recv_destination, set_recv_ecn,
};
