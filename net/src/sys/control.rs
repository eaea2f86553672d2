//! Control messages (cmsg(3)): what travels beside the bytes of a message.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::{mem, ptr, slice};

use socket2::SockAddrStorage;

/// Room for control messages, aligned as the kernel wants them.
#[repr(C, align(8))]
pub(crate) struct Control<const SIZE: usize> {
    bytes: [MaybeUninit<u8>; SIZE],
    /// So many of them are initialised.
    len: usize,
}

/// The size of a header with its padding.
pub(crate) const fn header() -> usize {
    // SAFETY: it is arithmetic.
    unsafe { libc::CMSG_LEN(0) as usize }
}

/// The room that a message with `len` bytes of data takes.
pub(crate) const fn space(len: usize) -> usize {
    // SAFETY: it is arithmetic.
    unsafe { libc::CMSG_SPACE(len as libc::c_uint) as usize }
}

impl<const SIZE: usize> Control<SIZE> {
    pub(crate) const fn new() -> Control<SIZE> {
        Control {
            bytes: [MaybeUninit::uninit(); SIZE],
            len: 0,
        }
    }

    /// Appends a message. `T` is plain data of C without padding.
    ///
    /// # Panics
    /// If there is no room, which is a mistake in this crate.
    pub(crate) fn push<T: Plain>(&mut self, level: libc::c_int, kind: libc::c_int, data: &[T]) {
        let size = size_of_val(data);
        let end = self.len + space(size);
        assert!(end <= SIZE, "no room for a control message");
        self.bytes[self.len..end].fill(MaybeUninit::new(0));
        // SAFETY: a cmsghdr holds integers (and on some systems padding), for which zero is a value.
        let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
        head.cmsg_level = level;
        head.cmsg_type = kind;
        head.cmsg_len = (header() + size) as _;
        let at = &mut self.bytes[self.len..end];
        // SAFETY: `at` has room for a header, since `space` counts one; unaligned is allowed.
        unsafe { ptr::write_unaligned(at.as_mut_ptr().cast(), head) };
        let place = at[header()..][..size].as_mut_ptr();
        // SAFETY: the slice before has checked that there are `size` bytes; they do not overlap.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr().cast(), place, size) };
        self.len = end;
    }

    /// What was pushed, or received.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let bytes = self.bytes.as_ptr();
        // SAFETY: the first `len` bytes are initialised: `push` and whoever calls `set_len` saw to it.
        unsafe { slice::from_raw_parts(bytes.cast(), self.len) }
    }

    /// Where the kernel is to write.
    pub(crate) fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        self.len = 0;
        &mut self.bytes
    }

    /// Says that the kernel has written `len` bytes.
    ///
    /// # Safety
    /// It has, into what [`room`](Control::room) returned.
    pub(crate) unsafe fn set_len(&mut self, len: usize) {
        self.len = len.min(SIZE);
    }

    /// Receives a message into `buf`, its sender's address into `name` and what travels beside it here:
    /// how long the message and the address are, and the flags. It waits for nothing.
    pub(crate) fn recv(
        &mut self,
        socket: &impl AsFd,
        name: Option<&mut SockAddrStorage>,
        buf: &mut [u8],
        flags: libc::c_int,
    ) -> io::Result<(usize, libc::socklen_t, libc::c_int)> {
        let mut contents = IoSliceMut::new(buf);
        // SAFETY: a msghdr holds integers and pointers, for which zero is a value.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        if let Some(name) = name {
            message.msg_namelen = name.size_of();
            message.msg_name = (&raw mut *name).cast();
        }
        message.msg_iov = (&raw mut contents).cast();
        message.msg_iovlen = 1;
        let room = self.room();
        message.msg_control = room.as_mut_ptr().cast();
        message.msg_controllen = room.len() as _;
        let (fd, flags) = (socket.as_fd().as_raw_fd(), flags | libc::MSG_DONTWAIT);
        // SAFETY: the header points to a buffer (an IoSliceMut is an iovec), to room for control
        // messages and perhaps for an address, each with its length, which outlive the call and are
        // borrowed for writing.
        let len = unsafe { libc::recvmsg(fd, &mut message, flags) };
        let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: recvmsg has just written so many bytes to the room.
        unsafe { self.set_len(message.msg_controllen as usize) };
        Ok((len, message.msg_namelen, message.msg_flags))
    }

    /// The messages in it: level, type and data.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (libc::c_int, libc::c_int, &[u8])> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            if rest.len() < header() {
                return None;
            }
            // SAFETY: there are as many initialised bytes, and any bytes make a cmsghdr.
            let head: libc::cmsghdr = unsafe { ptr::read_unaligned(rest.as_ptr().cast()) };
            let len = (head.cmsg_len as usize).min(rest.len());
            let data = rest.get(header()..len)?;
            let next = space(data.len()).min(rest.len());
            rest = &rest[next..];
            Some((head.cmsg_level, head.cmsg_type, data))
        })
    }
}

/// Data that may be copied byte by byte into a control message and out of it.
///
/// # Safety
/// Any bytes make a value of it, and it has no padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: integers.
unsafe impl Plain for u8 {}
// SAFETY: integers.
unsafe impl Plain for u16 {}
// SAFETY: integers.
unsafe impl Plain for libc::c_int {}
// SAFETY: 16 bytes and an integer of 4.
unsafe impl Plain for libc::in6_pktinfo {}
// SAFETY: an integer.
unsafe impl Plain for libc::in_addr {}
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
// SAFETY: three integers of 4 bytes.
unsafe impl Plain for libc::in_pktinfo {}

/// Reads a value off the data of a message, if it is all there.
pub(crate) fn value<T: Plain>(data: &[u8]) -> Option<T> {
    if data.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are as many bytes, and any bytes make a `T`: it is `Plain`.
    Some(unsafe { ptr::read_unaligned(data.as_ptr().cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let mut control = Control::<128>::new();
        control.push(1, 2, &[0xabcd_u16]);
        control.push(3, 4, &[5_i32, 6]);
        let all: Vec<_> = control.iter().collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].0, all[0].1), (1, 2));
        assert_eq!(value::<u16>(all[0].2), Some(0xabcd));
        assert_eq!((all[1].0, all[1].1, all[1].2.len()), (3, 4, 8));
        assert_eq!(value::<u16>(&all[0].2[..1]), None);
    }

    #[test]
    fn a_message_that_was_cut_is_read_no_further_than_it_goes() {
        let mut control = Control::<64>::new();
        control.push(1, 2, &[1_i32, 2]);
        control.len -= 6;
        let (_, _, data) = control.iter().next().unwrap();
        assert!(data.len() < 8);
        control.len = header() - 1;
        assert_eq!(control.iter().count(), 0);
    }
}
