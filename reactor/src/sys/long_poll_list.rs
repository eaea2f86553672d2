//! A wait for a list that poll(2) rejects because it is too long.
//!
//! poll(2) returns EINVAL for a list with more entries than the process may have descriptors
//! (RLIMIT_NOFILE). The list is that long if one descriptor has many sources, or if the limit was
//! lowered after the descriptors were opened. The remedies, in this order:
//!
//! 1. The entries of one descriptor are merged into one.
//! 2. select(2) waits. No kernel compares its descriptors with the limit. It does not report
//!    hang-ups and errors by themselves, so poll(2) is then called for single descriptors.
//! 3. Under a limit of zero even such a call fails. Then the result of select(2) must suffice, and
//!    a wait for neither direction fails (POLLNVAL).
//!
//! Nothing is remembered: the limit may be raised again, and the rejected call returns at once.

use std::collections::BinaryHeap;
use std::time::Duration;
use std::{io, slice};

use super::fcntl::check_open;
use super::fd_set::{FdSet, select};
use super::timeout::CHECK_INTERVAL;

/// Waits like poll(2) for a list that it has rejected. `poll` is the system call.
///
/// # Errors
/// Returns the error of select(2), or an error of poll(2) other than `EINVAL`.
#[cold]
pub(super) fn wait_for_long_list(
    pollfds: &mut [libc::pollfd],
    limit: Option<Duration>,
    poll: impl Fn(&mut [libc::pollfd], Option<Duration>) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut merged = merge(pollfds);
    if unless_rejected(poll(&mut merged, limit))?.is_none() {
        wait_in_select(&mut merged, limit, poll)?;
    }
    let mut ready = 0;
    for pollfd in pollfds {
        let found = merged.binary_search_by_key(&pollfd.fd, |merged| merged.fd);
        let revents = found.map_or(0, |index| merged[index].revents);
        let unrequested = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        pollfd.revents = revents & (pollfd.events | unrequested);
        ready += usize::from(pollfd.revents != 0);
    }
    Ok(ready)
}

/// Returns one entry for each descriptor, in the order of the descriptors.
fn merge(pollfds: &[libc::pollfd]) -> Vec<libc::pollfd> {
    // Sorted by a heap, because the other ways are much code for such a rare path.
    let sorted = pollfds.iter().map(|pollfd| (pollfd.fd, pollfd.events));
    let sorted = sorted.collect::<BinaryHeap<_>>().into_sorted_vec();
    let pollfd = |(fd, events)| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let mut merged: Vec<libc::pollfd> = sorted.into_iter().map(pollfd).collect();
    merged.dedup_by(|later, first| {
        let is_same = later.fd == first.fd;
        if is_same {
            first.events |= later.events;
        }
        is_same
    });
    merged
}

/// Returns `None` for a call that was rejected because of the limit.
fn unless_rejected(ready: io::Result<usize>) -> io::Result<Option<usize>> {
    match ready {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        ready => ready.map(Some),
    }
}

fn wait_in_select(
    pollfds: &mut [libc::pollfd],
    mut limit: Option<Duration>,
    poll: impl Fn(&mut [libc::pollfd], Option<Duration>) -> io::Result<usize>,
) -> io::Result<()> {
    let [mut readable, mut writable, mut exceptional] = [const { FdSet::new() }; 3];
    for pollfd in &mut *pollfds {
        pollfd.revents = 0;
        for (event, set) in [
            (libc::POLLIN, &mut readable),
            (libc::POLLOUT, &mut writable),
            (libc::POLLPRI, &mut exceptional),
        ] {
            if pollfd.events & event != 0 {
                set.insert(pollfd.fd);
            }
        }
        if pollfd.events & (libc::POLLIN | libc::POLLOUT) == 0 {
            // It waits for a hang-up or an error, for which select does not wait.
            if ask(pollfd, &poll)?.is_none() {
                pollfd.revents = libc::POLLNVAL;
            }
            let longest = if pollfd.revents != 0 {
                Duration::ZERO
            } else {
                CHECK_INTERVAL
            };
            limit = Some(limit.map_or(longest, |limit| limit.min(longest)));
        }
    }
    let selected = select(&mut readable, &mut writable, Some(&mut exceptional), limit);
    if matches!(&selected, Err(e) if e.raw_os_error() == Some(libc::EBADF)) {
        mark_closed(pollfds);
        return Ok(());
    }
    selected?;
    for pollfd in pollfds {
        let mut revents = 0;
        for (event, set) in [
            (libc::POLLIN, &readable),
            (libc::POLLOUT, &writable),
            (libc::POLLPRI, &exceptional),
        ] {
            if set.contains(pollfd.fd) {
                revents |= event;
            }
        }
        if revents != 0 && ask(pollfd, &poll)?.is_none() {
            pollfd.revents = revents;
        }
    }
    Ok(())
}

/// Has poll(2) look at one descriptor, without a wait. Returns `None` if it rejects that too.
fn ask(
    pollfd: &mut libc::pollfd,
    poll: impl Fn(&mut [libc::pollfd], Option<Duration>) -> io::Result<usize>,
) -> io::Result<Option<()>> {
    let list = slice::from_mut(pollfd);
    Ok(unless_rejected(poll(list, Some(Duration::ZERO)))?.map(drop))
}

/// Marks the descriptors that made select fail, because it does not name them.
fn mark_closed(pollfds: &mut [libc::pollfd]) {
    for pollfd in pollfds {
        if check_open(pollfd.fd).is_err() {
            pollfd.revents = libc::POLLNVAL;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::cvt::cvt;
    use crate::sys::ppoll::{poll, pollfd};

    /// Returns poll(2) for a process that may have `limit` descriptors.
    fn limited(
        limit: usize,
    ) -> impl Fn(&mut [libc::pollfd], Option<Duration>) -> io::Result<usize> {
        move |pollfds, wait| {
            if pollfds.len() > limit {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            poll(pollfds, wait)
        }
    }

    fn revents(pollfds: &[libc::pollfd]) -> Vec<libc::c_short> {
        pollfds.iter().map(|pollfd| pollfd.revents).collect()
    }

    #[test]
    fn the_entries_of_one_descriptor_each_get_what_they_requested() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"x").unwrap();
        let fd = ours.as_raw_fd();
        let (read, write) = (libc::POLLIN, libc::POLLOUT);
        for limit in [1, 0] {
            let mut list = [read, write, read | write, libc::POLLPRI].map(|e| pollfd(fd, e));
            let ready = wait_for_long_list(&mut list, None, limited(limit)).unwrap();
            assert_eq!(revents(&list), [read, write, read | write, 0], "{limit}");
            assert_eq!(ready, 3);
        }
    }

    #[test]
    fn many_descriptors_are_waited_for_whatever_the_limit() {
        let pairs: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
        for limit in [19, 1, 0] {
            let mut list: Vec<_> = pairs
                .iter()
                .map(|(ours, _)| pollfd(ours.as_raw_fd(), libc::POLLIN))
                .collect();
            let at_once = Some(Duration::ZERO);
            assert_eq!(
                wait_for_long_list(&mut list, at_once, limited(limit)).unwrap(),
                0
            );
            (&pairs[7].1).write_all(b"x").unwrap();
            assert_eq!(
                wait_for_long_list(&mut list, None, limited(limit)).unwrap(),
                1
            );
            assert_eq!(list[7].revents, libc::POLLIN);
            io::Read::read_exact(&mut &pairs[7].0, &mut [0]).unwrap();
        }
    }

    #[test]
    fn a_hang_up_is_found_by_poll_and_is_an_error_where_poll_rejects_one_descriptor() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let other = UnixStream::pair().unwrap().0;
        let mut list = [pollfd(ours.as_raw_fd(), 0), pollfd(other.as_raw_fd(), 0)];
        // The peer of `other` is gone.
        wait_for_long_list(&mut list, None, limited(1)).unwrap();
        assert_eq!(revents(&list), [0, libc::POLLHUP]);
        drop(theirs);
        wait_for_long_list(&mut list, None, limited(1)).unwrap();
        assert_eq!(revents(&list), [libc::POLLHUP; 2]);
        wait_for_long_list(&mut list, None, limited(0)).unwrap();
        assert_eq!(revents(&list), [libc::POLLNVAL; 2]);
    }

    #[test]
    fn a_closed_descriptor_is_reported() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        // Other tests open no descriptor with so large a number.
        // SAFETY: F_DUPFD_CLOEXEC takes an int and no pointer.
        let duplicate = cvt(unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900) });
        let closed = duplicate.unwrap();
        // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
        drop(unsafe { OwnedFd::from_raw_fd(closed) });
        for limit in [1, 0] {
            let mut list = [ours.as_raw_fd(), closed].map(|fd| pollfd(fd, libc::POLLIN));
            wait_for_long_list(&mut list, None, limited(limit)).unwrap();
            assert_eq!(revents(&list), [0, libc::POLLNVAL]);
        }
    }

    #[test]
    fn other_errors_are_returned() {
        let mut list = [pollfd(0, libc::POLLIN); 2];
        let no_memory = |_: &mut [_], _| Err(io::Error::from_raw_os_error(libc::ENOMEM));
        let error = wait_for_long_list(&mut list, None, no_memory).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    }
}
