//! How keys travel through the kernel.

use std::collections::HashMap;
use std::os::fd::RawFd;

use super::abi::{self, EVFILT_PROC, Filter, Kevent, Queue};
use crate::slot::Key;

/// How keys travel through the kernel: in `udata`, where that holds 64 bits.
///
/// In 32 bits they cannot, so the last key of each descriptor and process is kept here, as `udata`
/// itself is overwritten by each change. The kernel has no event for a descriptor that is closed, so
/// none can be taken for one of the number's next owner.
pub(super) enum Keys {
    InUdata,
    ByNumber(HashMap<(Numbers, RawFd), Key>),
}

/// What has numbers of its own.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Numbers {
    OfDescriptors,
    OfProcesses,
}

impl Numbers {
    fn of(filter: Filter) -> Numbers {
        match filter {
            EVFILT_PROC => Numbers::OfProcesses,
            _ => Numbers::OfDescriptors,
        }
    }
}

impl Keys {
    pub(super) fn new(queue: &Queue) -> Keys {
        match queue.has_wide_udata() {
            true => Keys::InUdata,
            false => Keys::ByNumber(HashMap::new()),
        }
    }

    pub(super) fn udata(&mut self, filter: Filter, ident: RawFd, key: Key) -> u64 {
        match self {
            Keys::InUdata => key.to_bits(),
            Keys::ByNumber(keys) => {
                keys.insert((Numbers::of(filter), ident), key);
                0
            }
        }
    }

    /// The doorbell is not in the table: its `udata` is what nobody else's is.
    pub(super) fn key(&self, answer: &Kevent) -> Key {
        let udata = abi::udata(answer);
        match self {
            Keys::InUdata => Key::from_bits(udata),
            Keys::ByNumber(keys) => {
                let number = (Numbers::of(answer.filter), answer.ident as RawFd);
                let known = keys.get(&number).filter(|_| udata == 0);
                known.copied().unwrap_or(Key::DOORBELL)
            }
        }
    }
}
