//! The meaning of the kernel's events.

use std::os::fd::RawFd;

use super::abi::{self, EV_EOF, Kevent};
use crate::interest::{Direction, Readiness};
use crate::sys::event::Event;
use crate::sys::fcntl::is_write_only;
use crate::token::Token;

/// Translates an event of a read or write filter.
///
/// `EV_EOF` of a read filter is the peer's end; data may be left to read. `EV_EOF` of a write
/// filter is the end of our own direction, whether the peer or we ended it, so it is not a hang-up
/// unless both filters report it. An event may carry flags of its change as well, such as
/// `EV_RECEIPT`, so each flag is tested by itself.
pub(super) fn translate(token: Token, direction: Direction, kevent: &Kevent) -> Event {
    let mut event = Event::new(token, direction.readiness());
    if kevent.flags & EV_EOF != 0 {
        event.readiness |= closed(direction);
        // With EV_EOF, fflags holds the pending error of a socket.
        if kevent.fflags != 0 {
            event.readiness |= Readiness::ERROR;
        }
    }
    if direction == Direction::Read {
        event.unread = u32::try_from(kevent.data).unwrap_or(u32::MAX);
        if abi::is_urgent(kevent.flags) {
            event.readiness |= Readiness::URGENT;
        }
    }
    event
}

/// Completes the event of a pipe's write end on a system whose write filter misses the close of the
/// reader.
///
/// There only the read filter of the write end reports it, as `EV_EOF`. A descriptor that cannot be
/// read has no other end than that. Costs one fcntl(2) for each `EV_EOF` of a read filter.
pub(super) fn infer_write_end(event: &mut Event, kevent: &Kevent) {
    if event.readiness.is_read_closed() && is_write_only(kevent.ident as RawFd) {
        event.readiness |= Readiness::WRITABLE | Readiness::WRITE_CLOSED;
    }
}

fn closed(direction: Direction) -> Readiness {
    match direction {
        Direction::Read => Readiness::READ_CLOSED,
        Direction::Write => Readiness::WRITE_CLOSED,
    }
}

/// Appends an event for a filter that the kernel refused.
///
/// The refusals of the two filters of one registration follow each other and become one event. If
/// only one filter is refused, the event names its direction alone.
pub(super) fn report_refusal(
    events: &mut Vec<Event>,
    token: Token,
    direction: Direction,
    errno: i32,
) {
    let readiness = direction.readiness();
    // FreeBSD, DragonFly and OpenBSD refuse the write filter of a pipe whose reader has closed.
    // That is what the filter was to report, and no failure of the registration.
    if errno == libc::EPIPE {
        events.push(Event::new(token, readiness | closed(direction)));
        return;
    }
    match events.last_mut() {
        Some(last)
            if last.token == token
                && last.errno == errno
                && !last.readiness.intersects(readiness) =>
        {
            last.readiness |= readiness | Readiness::ERROR;
        }
        _ => events.push(Event {
            errno,
            ..Event::new(token, readiness)
        }),
    }
}

/// Interprets an `EBADF`, whose meaning depends on whether both filters have it. Returns false if
/// the event has to be dropped.
pub(super) fn resolve_ebadf(event: &mut Event, is_repeat: bool) -> bool {
    if event.readiness == Readiness::WRITABLE {
        // The read filter was accepted, so the descriptor is open: this is the EBADF that NetBSD
        // has for a pipe whose reader has closed (sys_pipe.c).
        event.readiness |= Readiness::WRITE_CLOSED;
        event.errno = 0;
        return true;
    }
    // The descriptor is closed. That is an error of a new registration. A repeated one may concern
    // a source that was dropped on another thread.
    !is_repeat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::kqueue::abi::{EV_CLEAR, EV_RECEIPT, EVFILT_READ, change};

    const ONE: Token = Token::new(1, 7);
    const TWO: Token = Token::new(2, 7);

    #[test]
    fn the_end_of_a_direction_is_not_a_hang_up() {
        let flags = EV_EOF | EV_CLEAR | EV_RECEIPT;
        let readiness = |direction, flags, fflags| {
            let kevent = change(0, EVFILT_READ, flags, fflags, 0);
            translate(ONE, direction, &kevent).readiness
        };
        let ended = readiness(Direction::Read, flags, 0);
        assert_eq!(ended, Readiness::READABLE | Readiness::READ_CLOSED);
        let shut = readiness(Direction::Write, flags, 0);
        assert_eq!(shut, Readiness::WRITABLE | Readiness::WRITE_CLOSED);
        let reset = readiness(Direction::Read, flags, libc::ECONNRESET as u32);
        assert!(reset.is_error() && reset.is_readable() && !reset.is_writable());
        // Without EV_EOF, fflags is not an error.
        assert_eq!(readiness(Direction::Read, EV_CLEAR, 1), Readiness::READABLE);
    }

    #[test]
    fn a_refusal_names_the_direction_that_was_refused() {
        let mut events = Vec::new();
        report_refusal(&mut events, ONE, Direction::Write, libc::EINVAL);
        report_refusal(&mut events, TWO, Direction::Read, libc::EINVAL);
        report_refusal(&mut events, TWO, Direction::Write, libc::EINVAL);
        let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR;
        let expected = [
            Event {
                errno: libc::EINVAL,
                ..Event::new(ONE, Readiness::WRITABLE)
            },
            Event {
                errno: libc::EINVAL,
                ..Event::new(TWO, all)
            },
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn every_kernels_refusal_of_a_broken_pipe_means_writable_and_closed() {
        let closed = Readiness::WRITABLE | Readiness::WRITE_CLOSED;
        let expected = Event::new(ONE, closed);
        let mut events = Vec::new();
        report_refusal(&mut events, ONE, Direction::Write, libc::EPIPE);
        assert_eq!(events, [expected]);
        let mut events = Vec::new();
        report_refusal(&mut events, ONE, Direction::Write, libc::EBADF);
        assert!(resolve_ebadf(&mut events[0], true));
        assert_eq!(events, [expected]);
    }

    #[test]
    fn a_closed_descriptor_is_an_error_of_an_add_and_none_of_a_repeat() {
        for is_repeat in [false, true] {
            let mut events = Vec::new();
            report_refusal(&mut events, ONE, Direction::Read, libc::EBADF);
            report_refusal(&mut events, ONE, Direction::Write, libc::EBADF);
            assert_eq!(events.len(), 1);
            assert_eq!(resolve_ebadf(&mut events[0], is_repeat), !is_repeat);
        }
    }
}
