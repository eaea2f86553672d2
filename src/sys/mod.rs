//! System calls that neither the reactor nor the sockets make.

mod affinity;
pub(crate) mod cached;
#[cfg(feature = "hyper")]
pub(crate) mod hyper;
mod thread_time;

pub(crate) use affinity::pin_thread;
pub(crate) use thread_time::thread_cpu_time;
