//! Tests of the model itself: what was observed on a kernel, and does not show in the backend.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

use super::*;
use crate::sys::cvt::cvt;

fn netbsd() -> Queue {
    Flavor::NETBSD.with(Queue::open).unwrap()
}

/// Applies changes and collects events, with this much room in the event list.
fn kevent(queue: &Queue, changes: &[Kevent], room: usize) -> Vec<Kevent> {
    let mut eventlist = Vec::with_capacity(room);
    let limit = Some(Duration::ZERO);
    queue.kevent(changes, &mut eventlist, limit).unwrap();
    eventlist
}

/// Returns the additions of both filters, with `EV_CLEAR` and `more`.
fn add(fd: &impl AsRawFd, more: Flags) -> [Kevent; 2] {
    let flags = EV_ADD | EV_CLEAR | more;
    [EVFILT_READ, EVFILT_WRITE].map(|filter| change(fd.as_raw_fd(), filter, flags, 0, 0))
}

#[test]
fn on_netbsd_an_event_carries_the_flags_of_its_change() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let queue = netbsd();
    assert_eq!(kevent(&queue, &add(&ours, EV_RECEIPT), 2).len(), 2);
    let events = kevent(&queue, &[], 2);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].flags, EV_ADD | EV_CLEAR | EV_RECEIPT);
}

#[test]
fn on_netbsd_a_timeout_is_rounded_up_to_ticks_and_one_more() {
    let queue = netbsd();
    let milliseconds = |micros| queue.in_ticks(Duration::from_micros(micros)).as_millis();
    assert_eq!(milliseconds(0), 0);
    assert_eq!([100, 1000, 10_000].map(milliseconds), [20; 3]);
    assert_eq!([11_000, 15_000].map(milliseconds), [30; 2]);
}

#[test]
fn on_netbsd_two_receipts_with_room_for_one_are_none_although_both_changes_are_made() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();
    let queue = netbsd();
    assert!(kevent(&queue, &add(&ours, EV_RECEIPT), 1).is_empty());
    assert_eq!(kevent(&queue, &[], 2).len(), 2);
}

#[test]
fn on_netbsd_the_count_of_a_datagram_includes_its_address() {
    let ours = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    ours.send_to(b"four", ours.local_addr().unwrap()).unwrap();
    let read = &add(&ours, 0)[..1];
    assert_eq!(kevent(&netbsd(), read, 1)[0].data, 20);
    let freebsd = Flavor::FREEBSD.with(Queue::open).unwrap();
    assert_eq!(kevent(&freebsd, read, 1)[0].data, 4);
}

#[test]
fn on_netbsd_a_socket_that_was_never_connected_reports_nothing() {
    let socket = tcp_socket();
    assert!(kevent(&netbsd(), &add(&socket, 0), 2).is_empty());
}

#[test]
fn on_netbsd_a_refused_connect_reports_its_error() {
    // The port of a client, which no listener can take in the meantime.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = tcp_socket();
    connect(&socket, client.local_addr().unwrap());
    let events = kevent(&netbsd(), &add(&socket, 0), 2);
    assert_eq!(events.len(), 2);
    for event in events {
        assert_ne!(event.flags & EV_EOF, 0);
        assert_eq!(event.fflags, libc::ECONNREFUSED as u32);
    }
}

#[test]
fn on_netbsd_the_log_of_the_kernel_refuses_the_write_filter_and_other_devices_neither() {
    let refusals = |queue: Queue, path: &str| {
        let device = File::open(path).unwrap();
        let receipts = kevent(&queue, &add(&device, EV_RECEIPT), 2);
        [receipts[0].data, receipts[1].data]
    };
    let (log, refused) = ("/dev/full", i64::from(libc::EINVAL));
    assert_eq!(refusals(netbsd(), log), [0, refused]);
    for path in ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"] {
        assert_eq!(refusals(netbsd(), path), [0, 0], "{path}");
    }
    let freebsd = Flavor::FREEBSD.with(Queue::open).unwrap();
    assert_eq!(refusals(freebsd, log), [i64::from(libc::ENODEV); 2]);
}

#[test]
fn on_netbsd_both_filters_work_on_both_ends_of_a_fifo() {
    let path = std::env::temp_dir().join(format!("runtime-fifo-{}", process::id()));
    let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: `name` is a string that ends in 0 and outlives the call.
    cvt(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }).unwrap();
    let mut options = File::options();
    options.custom_flags(libc::O_NONBLOCK);
    let reader = options.read(true).open(&path).unwrap();
    let mut writer = options.read(false).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let filters = |fd: &File| {
        let events = kevent(&netbsd(), &add(fd, 0), 2);
        events
            .iter()
            .map(|event| (event.filter, event.flags & EV_EOF != 0))
            .collect::<Vec<_>>()
    };
    assert_eq!(filters(&reader), [(EVFILT_WRITE, false)]);
    assert_eq!(filters(&writer), [(EVFILT_WRITE, false)]);
    writer.write_all(b"x").unwrap();
    assert_eq!(filters(&reader), [(EVFILT_READ, false)]);
    let both = [(EVFILT_READ, false), (EVFILT_WRITE, false)];
    assert_eq!(filters(&writer), both);
    drop(reader);
    assert!(filters(&writer).contains(&(EVFILT_WRITE, true)));
}

fn tcp_socket() -> OwnedFd {
    // SAFETY: socket takes three integers.
    let fd = cvt(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }).unwrap();
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    crate::sys::set_nonblocking(socket.as_fd()).unwrap();
    socket
}

/// Starts a connect without waiting for it. On the loopback interface a refusal is immediate.
fn connect(socket: &OwnedFd, to: SocketAddr) {
    // SAFETY: a sockaddr_in consists of integers, for which all-zero is valid.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as _;
    address.sin_port = to.port().to_be();
    address.sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a valid sockaddr_in of the size that is passed.
    let begun = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) };
    let errno = io::Error::last_os_error().raw_os_error();
    assert_eq!((begun, errno), (-1, Some(libc::EINPROGRESS)));
}
