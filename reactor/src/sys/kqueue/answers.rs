//! What the kernel's answers mean.

use super::abi::{self, EV_EOF, Kevent};
use crate::interest::{Direction, Readiness};
use crate::sys::Event;
use crate::token::Token;

/// `EV_EOF` for reading is the peer's end, with data possibly left; for writing it is our own end,
/// also when it was we who shut it. It is not a hang-up, then, unless both are reported. The flags
/// may hold others besides: some kernels return those of the change, EV_RECEIPT among them.
pub(super) fn translate(token: Token, direction: Direction, answer: &Kevent) -> Event {
    let mut event = Event::new(token, direction.readiness());
    if answer.flags & EV_EOF != 0 {
        event.readiness |= closed(direction);
        // The socket's pending error, if it has one.
        if answer.fflags != 0 {
            event.readiness |= Readiness::ERROR;
        }
    }
    if direction == Direction::Read {
        event.unread = u32::try_from(answer.data).unwrap_or(u32::MAX);
        if abi::is_urgent(answer.flags) {
            event.readiness |= Readiness::URGENT;
        }
    }
    event
}

fn closed(direction: Direction) -> Readiness {
    match direction {
        Direction::Read => Readiness::READ_CLOSED,
        Direction::Write => Readiness::WRITE_CLOSED,
    }
}

/// Notes that the kernel refused a filter. The two of one registration, which come one after the
/// other, become one event; for a single one the event names the direction that it concerns.
pub(super) fn refuse(events: &mut Vec<Event>, token: Token, direction: Direction, errno: i32) {
    let readiness = direction.readiness();
    // The reader of a pipe was gone before the writer was registered (FreeBSD, DragonFly,
    // OpenBSD): not an error of the registration, but what it was made to find out.
    if errno == libc::EPIPE {
        let readiness = readiness | closed(direction);
        events.push(Event::new(token, readiness));
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

/// What an EBADF means, which shows only when both filters are known. Says whether the event is
/// to be kept.
pub(super) fn settle(event: &mut Event, renewal: bool) -> bool {
    if event.readiness == Readiness::WRITABLE {
        // The descriptor is good for reading: this is NetBSD's EPIPE (sys_pipe.c).
        event.readiness |= Readiness::WRITE_CLOSED;
        event.errno = 0;
        return true;
    }
    // Closed since. Its source may be gone when it is renewed, but not while it is added.
    !renewal
}
