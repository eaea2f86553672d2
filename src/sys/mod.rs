//! System calls that neither the reactor nor the sockets make.

mod affinity;
pub(crate) mod cached;
#[cfg(feature = "hyper")]
pub(crate) mod hyper;

pub(crate) use affinity::pin_thread;
