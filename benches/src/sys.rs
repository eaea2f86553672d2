//! Wrappers of system calls: sockets, epoll, clocks, cores.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub(crate) fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn cvt_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The core of servers and micro-benchmarks.
pub(crate) const SERVER_CORE: usize = 1;
/// The core of the load generator and of threads that wake from another core.
pub(crate) const LOAD_CORE: usize = 0;

/// Pins this thread, and threads it starts later, to a core. Does nothing if the core does not
/// exist.
pub(crate) fn pin(core: usize) {
    // SAFETY: all zeros are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is within the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is valid, and its size is given.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes.
    unsafe { libc::clock_gettime(id, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Returns the CPU time of this process, all threads together.
pub(crate) fn cpu_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Returns the CPU time of another process.
pub(crate) fn cpu_time_of(pid: u32) -> io::Result<Duration> {
    let mut id = 0;
    // SAFETY: `id` is valid for writes.
    let error = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut id) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    Ok(clock(id))
}

/// Returns the resident bytes of a process.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = status.lines().find(|line| line.starts_with("Rss:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no Rss line"))
}

/// Returns the bytes that the kernel uses for sockets, epoll and files of all processes.
pub(crate) fn kernel_memory() -> io::Result<u64> {
    let number = |text: &str, name: &str| {
        let mut words = text.split_whitespace().skip_while(|word| *word != name);
        words.nth(1).and_then(|word| word.parse::<u64>().ok())
    };
    let meminfo = std::fs::read_to_string("/proc/meminfo")?;
    let sockets = std::fs::read_to_string("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"));
    // Pages of buffers.
    let pages = tcp.and_then(|line| number(line, "mem")).unwrap_or(0);
    let slab = number(&meminfo, "SUnreclaim:").unwrap_or(0);
    Ok(slab * 1024 + pages * 4096)
}

/// Ends this process when its parent ends.
pub(crate) fn die_with_parent() {
    // SAFETY: takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

pub(crate) fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: takes no pointers. The process is a child that has not been reaped.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// Raises the descriptor limit to its maximum and returns it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for writes.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is valid.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    limit.rlim_cur
}

pub(crate) fn no_delay(fd: RawFd) {
    let on: libc::c_int = 1;
    // SAFETY: the option is a c_int, and its size is given.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
}

fn loopback(host: u8, port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, host]),
        },
        sin_zero: [0; 8],
    }
}

/// Starts a connection from 127.0.0.`host` to 127.0.0.1. Several source addresses are needed
/// because one has only 28,000 ports.
pub(crate) fn connect(host: u8, port: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    let fd = cvt(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the descriptor was just created, and no other code owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    no_delay(fd.as_raw_fd());
    let on: libc::c_int = 1;
    // SAFETY: the option is a c_int, and its size is given.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    let from = loopback(host, 0);
    let size = size_of_val(&from) as libc::socklen_t;
    // SAFETY: the address is valid, and its size is given.
    cvt(unsafe { libc::bind(fd.as_raw_fd(), (&raw const from).cast(), size) })?;
    let to = loopback(1, port);
    // SAFETY: the address is valid, and its size is given.
    match cvt(unsafe { libc::connect(fd.as_raw_fd(), (&raw const to).cast(), size) }) {
        Ok(_) => Ok(fd),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(fd),
        Err(e) => Err(e),
    }
}

pub(crate) fn accept(listener: RawFd) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let null = std::ptr::null_mut();
    // SAFETY: null pointers mean that the address is not requested.
    let fd = cvt(unsafe { libc::accept4(listener, null, null.cast(), flags) })?;
    // SAFETY: the descriptor was just created, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is valid for writes of its length.
    cvt_size(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) })
}

pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are valid for reads of their length.
    cvt_size(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) })
}

pub(crate) fn eventfd(flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = cvt(unsafe { libc::eventfd(0, flags | libc::EFD_CLOEXEC) })?;
    // SAFETY: the descriptor was just created, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn eventfd_add(fd: RawFd) {
    let one = 1_u64;
    // SAFETY: eight bytes are written from a u64.
    unsafe { libc::write(fd, (&raw const one).cast(), 8) };
}

/// Reads an eventfd; a blocking one waits until it is not zero.
pub(crate) fn eventfd_take(fd: RawFd) {
    let mut count = 0_u64;
    // SAFETY: eight bytes are read into a u64.
    unsafe { libc::read(fd, (&raw mut count).cast(), 8) };
}

/// An epoll descriptor.
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

pub(crate) const EDGE_BOTH: u32 = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32;
pub(crate) const EDGE_READ: u32 = (libc::EPOLLIN | libc::EPOLLET) as u32;

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: takes no pointers.
        let fd = cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll {
            // SAFETY: the descriptor was just created, and no other code owns it.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024],
        })
    }

    pub(crate) fn add(&self, fd: RawFd, interest: u32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: interest,
            u64: key,
        };
        let this = self.fd.as_raw_fd();
        // SAFETY: the event is valid for reads.
        cvt(unsafe { libc::epoll_ctl(this, libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
    }

    /// Waits at most `millis` milliseconds, or without a limit for -1, and returns the events.
    pub(crate) fn wait(&mut self, millis: libc::c_int) -> io::Result<&[libc::epoll_event]> {
        let capacity = self.events.len() as libc::c_int;
        let buffer = self.events.as_mut_ptr();
        // SAFETY: the buffer is valid for writes of `capacity` events.
        match cvt(unsafe { libc::epoll_wait(self.fd.as_raw_fd(), buffer, capacity, millis) }) {
            Ok(ready) => Ok(&self.events[..ready as usize]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(&[]),
            Err(e) => Err(e),
        }
    }
}
