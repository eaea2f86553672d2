//! Control messages (cmsg(3)): the ancillary data of a message.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::{mem, ptr};

use socket2::SockAddrStorage;

/// A buffer for control messages, aligned as the kernel requires.
#[repr(C, align(8))]
pub(crate) struct Control<const SIZE: usize> {
    /// Zero where nothing was written: the kernel skips the padding between messages.
    bytes: [u8; SIZE],
    /// The number of bytes at the start that hold messages.
    len: usize,
}

/// Returns the size of a header with its padding.
pub(crate) const fn header() -> usize {
    // SAFETY: it has no precondition: it is arithmetic.
    unsafe { libc::CMSG_LEN(0) as usize }
}

/// Returns the space that a message with `len` bytes of data takes.
pub(crate) const fn space(len: usize) -> usize {
    // SAFETY: it has no precondition: it is arithmetic.
    unsafe { libc::CMSG_SPACE(len as libc::c_uint) as usize }
}

impl<const SIZE: usize> Control<SIZE> {
    pub(crate) const fn new() -> Control<SIZE> {
        Control {
            bytes: [0; SIZE],
            len: 0,
        }
    }

    /// Appends a message.
    ///
    /// # Panics
    /// Panics if it does not fit, which is a mistake in this crate.
    pub(crate) fn push<T: Plain>(&mut self, level: libc::c_int, kind: libc::c_int, data: &[T]) {
        let size = size_of_val(data);
        let end = self.len + space(size);
        assert!(end <= SIZE, "the control message does not fit its buffer");
        self.bytes[self.len..end].fill(0);
        // SAFETY: a cmsghdr holds integers (and on some systems padding), for which zero is valid.
        let mut head: libc::cmsghdr = unsafe { mem::zeroed() };
        head.cmsg_level = level;
        head.cmsg_type = kind;
        head.cmsg_len = (header() + size) as _;
        let at = &mut self.bytes[self.len..end];
        // SAFETY: `at` has room for a header, which `space` includes; the write may be unaligned.
        unsafe { ptr::write_unaligned(at.as_mut_ptr().cast(), head) };
        let target = at[header()..][..size].as_mut_ptr();
        // SAFETY: slicing has checked that `target` has `size` bytes, as many as `data`; the two do
        // not overlap, since one of them is borrowed mutably.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr().cast(), target, size) };
        self.len = end;
    }

    /// Returns the messages as bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Empties the buffer, and returns all of it, zeroed, for the kernel to write to.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        self.len = 0;
        self.bytes.fill(0);
        &mut self.bytes
    }

    /// Sets the number of bytes of [`spare`](Control::spare) that the kernel has used, padding
    /// included.
    pub(crate) fn set_len(&mut self, len: usize) {
        self.len = len.min(SIZE);
    }

    /// Receives a message into `buf`, the sender's address into `name` and control messages into
    /// this buffer, without blocking. Returns the lengths of message and address, and the flags.
    pub(crate) fn recv(
        &mut self,
        socket: &impl AsFd,
        name: Option<&mut SockAddrStorage>,
        buf: &mut [u8],
        flags: libc::c_int,
    ) -> io::Result<(usize, libc::socklen_t, libc::c_int)> {
        let mut contents = IoSliceMut::new(buf);
        // SAFETY: a msghdr holds integers and pointers, for which zero is valid.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        if let Some(name) = name {
            message.msg_namelen = name.size_of();
            message.msg_name = (&raw mut *name).cast();
        }
        message.msg_iov = (&raw mut contents).cast();
        message.msg_iovlen = 1;
        let control = self.spare();
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = control.len() as _;
        let (fd, flags) = (socket.as_fd().as_raw_fd(), flags | libc::MSG_DONTWAIT);
        // SAFETY: the header points to a buffer (an IoSliceMut is an iovec), to space for control
        // messages and perhaps for an address, each with its length. They outlive the call and are
        // borrowed mutably.
        let len = unsafe { libc::recvmsg(fd, &mut message, flags) };
        let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
        self.set_len(message.msg_controllen as usize);
        Ok((len, message.msg_namelen, message.msg_flags))
    }

    /// Returns the level, type and data of each message.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (libc::c_int, libc::c_int, &[u8])> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            if rest.len() < header() {
                return None;
            }
            // SAFETY: `rest` has the bytes of a header, initialized, and any bytes are a valid
            // cmsghdr.
            let head: libc::cmsghdr = unsafe { ptr::read_unaligned(rest.as_ptr().cast()) };
            let len = (head.cmsg_len as usize).min(rest.len());
            let data = rest.get(header()..len)?;
            let next = space(data.len()).min(rest.len());
            rest = &rest[next..];
            Some((head.cmsg_level, head.cmsg_type, data))
        })
    }
}

/// Data that may be copied byte by byte into and out of a control message.
///
/// # Safety
/// Any bytes are a valid value of the type, and it has no padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: an integer has no padding, and any bytes are valid.
unsafe impl Plain for u8 {}
// SAFETY: an integer has no padding, and any bytes are valid.
unsafe impl Plain for u16 {}
// SAFETY: an integer has no padding, and any bytes are valid.
unsafe impl Plain for libc::c_int {}
// SAFETY: 16 bytes and an integer of 4: no padding, and any bytes are valid.
unsafe impl Plain for libc::in6_pktinfo {}
// SAFETY: one integer: no padding, and any bytes are valid.
unsafe impl Plain for libc::in_addr {}
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
// SAFETY: three integers of 4 bytes: no padding, and any bytes are valid.
unsafe impl Plain for libc::in_pktinfo {}

/// Reads a value from the start of a message's data, if it is long enough.
pub(crate) fn value<T: Plain>(data: &[u8]) -> Option<T> {
    if data.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: `data` has the bytes of a `T`, for which any bytes are valid, since it is `Plain`.
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
    fn the_padding_that_the_kernel_skips_is_zero() {
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut sent = Control::<64>::new();
        sent.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[one.as_raw_fd()]);
        let message = [io::IoSlice::new(b"x")];
        let message = socket2::MsgHdr::new().with_buffers(&message);
        let message = message.with_control(sent.as_bytes());
        socket2::SockRef::from(&one).sendmsg(&message, 0).unwrap();

        let mut control = Control::<64>::new();
        control.push(1, 2, &[0xff_u8; 40]);
        control.recv(&two, None, &mut [0], 0).unwrap();
        let (_, _, data) = control.iter().next().unwrap();
        let received: libc::c_int = value(data).unwrap();
        // SAFETY: the kernel has just opened it for this message, and nothing else owns it.
        drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(received) });
        let end = header() + size_of::<libc::c_int>();
        assert_eq!(control.as_bytes().len(), space(size_of::<libc::c_int>()));
        assert!(
            control.bytes[end..].iter().all(|&byte| byte == 0),
            "{:?}",
            control.bytes
        );
    }

    #[test]
    fn a_truncated_message_is_read_up_to_its_end() {
        let mut control = Control::<64>::new();
        control.push(1, 2, &[1_i32, 2]);
        control.len -= 6;
        let (_, _, data) = control.iter().next().unwrap();
        assert!(data.len() < 8);
        control.len = header() - 1;
        assert_eq!(control.iter().count(), 0);
    }
}
