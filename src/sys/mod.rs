//! System calls that neither the reactor nor the sockets make.

mod affinity;

pub(crate) use affinity::pin_thread;
