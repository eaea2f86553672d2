//! Reading and writing bytes: streams, pipes and connected datagram sockets.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::AsFd;

use socket2::SockRef;

use super::call::call;
use super::socket::{MORE_FLAG, SEND_FLAGS};

/// Reads into `buf`.
#[inline]
pub(crate) fn read<T: AsFd>(mut io: &T, buf: &mut [u8]) -> io::Result<usize>
where
    for<'a> &'a T: Read,
{
    call!(
        io,
        |host, fd| host.recv(fd, &mut [buf], false),
        io.read(buf)
    )
}

/// Reads into several buffers.
pub(crate) fn read_vectored<T: AsFd>(mut io: &T, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize>
where
    for<'a> &'a T: Read,
{
    call!(
        io,
        |host, fd| {
            let mut bufs: Vec<&mut [u8]> = bufs.iter_mut().map(|buf| &mut **buf).collect();
            host.recv(fd, &mut bufs, false)
        },
        io.read_vectored(bufs)
    )
}

/// Sends bytes on a socket, without SIGPIPE, which std's own `write` raises on some systems.
#[inline]
pub(crate) fn send(socket: &impl AsFd, buf: &[u8]) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send(fd, &[IoSlice::new(buf)]),
        SockRef::from(socket).send_with_flags(buf, SEND_FLAGS)
    )
}

/// Sends several buffers on a socket, without SIGPIPE.
pub(crate) fn send_vectored(socket: &impl AsFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send(fd, bufs),
        send_bufs(socket, bufs, SEND_FLAGS)
    )
}

/// Sends several buffers on a socket, without SIGPIPE, as the beginning of more that follows at
/// once.
pub(crate) fn send_more(socket: &impl AsFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    call!(
        socket,
        |host, fd| host.send(fd, bufs),
        send_bufs(socket, bufs, SEND_FLAGS | MORE_FLAG)
    )
}

fn send_bufs(socket: &impl AsFd, bufs: &[IoSlice<'_>], flags: libc::c_int) -> io::Result<usize> {
    let socket = SockRef::from(socket);
    match bufs {
        // send(2) costs less than sendmsg(2).
        [buf] => socket.send_with_flags(buf, flags),
        bufs => socket.send_vectored_with_flags(bufs, flags),
    }
}

/// Writes to a pipe.
pub(crate) fn write<T: AsFd>(mut io: &T, buf: &[u8]) -> io::Result<usize>
where
    for<'a> &'a T: io::Write,
{
    call!(
        io,
        |host, fd| host.send(fd, &[IoSlice::new(buf)]),
        io::Write::write(&mut io, buf)
    )
}

/// Writes several buffers to a pipe.
pub(crate) fn write_vectored<T: AsFd>(mut io: &T, bufs: &[IoSlice<'_>]) -> io::Result<usize>
where
    for<'a> &'a T: io::Write,
{
    call!(
        io,
        |host, fd| host.send(fd, bufs),
        io::Write::write_vectored(&mut io, bufs)
    )
}
