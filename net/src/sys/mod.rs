//! System calls and the differences between platforms, one file for each kind of descriptor.

pub(crate) mod accept;
pub(crate) mod adopt;
pub(crate) mod bytes;
pub(crate) mod call;
mod control;
pub(crate) mod describe;
mod errno;
#[cfg(any(test, target_vendor = "apple"))]
mod interface;
#[cfg(feature = "sim")]
pub(crate) mod lookup;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod pipe;
pub(crate) mod read_buf;
pub(crate) mod sendfile;
mod sigpipe;
pub(crate) mod socket;
pub(crate) mod splice;
pub(crate) mod tcp;
pub(crate) mod udp;
pub(crate) mod unix;
mod unsupported;
