//! What a source can be asked for, and what the kernel says of it.
//!
//! *Interest* is what somebody asks, *readiness* is what happened, a *direction* is one of the two
//! queues a waiter can stand in.

use std::{fmt, ops};

/// One of the two ways bytes go, and so one of the two places where a waker can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the descriptor to us: `recv`, `accept`.
    Read,
    /// From us to the descriptor: `send`, the end of a `connect`.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// The readiness that lets an operation of this direction be tried.
    pub(crate) const fn readiness(self) -> Readiness {
        match self {
            Direction::Read => Readiness::READABLE,
            Direction::Write => Readiness::WRITABLE,
        }
    }

    /// All that readiness can say of this direction.
    pub(crate) const fn readiness_mask(self) -> Readiness {
        match self {
            Direction::Read => {
                let end = Readiness::READ_CLOSED.0 | Readiness::ERROR.0;
                Readiness(Readiness::READABLE.0 | Readiness::URGENT.0 | end)
            }
            Direction::Write => {
                Readiness(Readiness::WRITABLE.0 | Readiness::WRITE_CLOSED.0 | Readiness::ERROR.0)
            }
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Waiting for this direction alone.
    pub(crate) const fn interest(self) -> Interest {
        match self {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        }
    }
}

impl fmt::Display for Direction {
    /// For sentences about a descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Read => "reading from",
            Direction::Write => "writing to",
        })
    }
}

/// What to wait for: one thing, or whichever of several comes first.
///
/// # Examples
/// ```
/// use runtime_reactor::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// assert!(!Interest::READABLE.is_writable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Data, a connection to accept, or the end of the stream.
    pub const READABLE: Interest = Interest(1);
    /// Room to write, the end of a `connect`, or a peer that is gone.
    pub const WRITABLE: Interest = Interest(2);
    /// The peer will send no more: it is gone, or has ended its half. What it sent before may
    /// still lie there unread.
    ///
    /// # Platform notes
    /// EPOLLRDHUP (Linux), EV_EOF for reading (kqueue), POLLRDHUP (poll, where there is one). It is
    /// said for as long as it is so. Waiting for it fails with `Unsupported` with select, which
    /// knows no end that is no data, and with poll on a system without POLLRDHUP.
    pub const CLOSED: Interest = Interest(4);
    /// Urgent data, or whatever else the system calls exceptional: a change of /proc/mounts, an
    /// edge at a GPIO pin.
    ///
    /// # Platform notes
    /// EPOLLPRI (Linux), POLLPRI (poll). With kqueue and with select waiting for it fails with
    /// `Unsupported`.
    pub const PRIORITY: Interest = Interest(8);
    /// An error that the next operation returns, or that nothing can be written any more: the
    /// reader of a pipe is gone.
    ///
    /// # Platform notes
    /// With select waiting for it fails with `Unsupported`.
    pub const ERROR: Interest = Interest(16);

    /// Whether reading is part of it.
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether writing is part of it.
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether the peer's end is part of it.
    pub const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED.0 != 0
    }

    /// Whether urgent data is part of it.
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Whether an error is part of it.
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR.0 != 0
    }

    /// The part of it that is no direction: no operation finds it, and so none can be tried for it.
    pub(crate) const fn non_directional(self) -> Interest {
        Interest(self.0 & Self::NON_DIRECTIONAL.0)
    }

    /// The readiness that answers the part of it that is no direction. Writing that is closed is no
    /// sign of the peer's end: on kqueue it may be ours.
    #[cold]
    pub(crate) fn readiness_mask(self) -> Readiness {
        let mut claims = Readiness::EMPTY;
        if self.is_closed() {
            claims |= Readiness::READ_CLOSED;
        }
        if self.is_priority() {
            claims |= Readiness::PRIORITY;
        }
        if self.is_error() {
            claims |= Readiness::ERROR | Readiness::WRITE_CLOSED;
        }
        claims
    }

    /// Nothing at all.
    pub(crate) const NONE: Interest = Interest(0);

    /// All that is no direction.
    pub(crate) const NON_DIRECTIONAL: Interest =
        Interest(Self::CLOSED.0 | Self::PRIORITY.0 | Self::ERROR.0);

    pub(crate) const fn without(self, other: Interest) -> Interest {
        Interest(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The directions whose registrations must all have failed for this interest to fail: what is
    /// no direction is reported by either.
    pub(crate) fn error_directions(self) -> impl Iterator<Item = Direction> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let directions = if self.non_directional().is_empty() {
            self
        } else {
            both
        };
        directions.directions()
    }

    /// The directions asked for, reading first.
    pub(crate) fn directions(self) -> impl Iterator<Item = Direction> {
        [
            (self.is_readable(), Direction::Read),
            (self.is_writable(), Direction::Write),
        ]
        .into_iter()
        .filter_map(|(asked, direction)| asked.then_some(direction))
    }
}

impl Interest {
    /// What it would be answered with if all of it were ready.
    pub(crate) fn optimistic(self) -> Readiness {
        self.directions()
            .fold(Readiness::EMPTY, |optimistic, d| optimistic | d.readiness())
    }
}

impl ops::BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (1, "READABLE"),
            (2, "WRITABLE"),
            (4, "CLOSED"),
            (8, "PRIORITY"),
            (16, "ERROR"),
        ];
        write_flags(f, "Interest", self.0, &names)
    }
}

/// What the kernel reported of a source, kept until an operation finds otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing is known to be ready.
    pub const EMPTY: Readiness = Readiness(0);
    /// Reading is worth a try.
    pub const READABLE: Readiness = Readiness(1);
    /// Writing is worth a try.
    pub const WRITABLE: Readiness = Readiness(2);
    /// The peer will send no more; what it sent before can still be read.
    pub const READ_CLOSED: Readiness = Readiness(4);
    /// Nothing can be written any more.
    pub const WRITE_CLOSED: Readiness = Readiness(8);
    /// The descriptor has an error to tell; the next operation returns it.
    pub const ERROR: Readiness = Readiness(16);
    /// The peer sent urgent data: a read stops short of it, whatever follows.
    pub(crate) const URGENT: Readiness = Readiness(32);
    /// Urgent data came, or something else that is exceptional. It never comes without `URGENT`,
    /// which goes when a read finds nothing; this one goes when it is tried for.
    pub const PRIORITY: Readiness = Readiness(64);
    /// The source is on a level, where others of its selector are on edges. Said once, it stays.
    pub(crate) const LEVEL: Readiness = Readiness(128);

    /// Whether reading is worth a try.
    pub const fn is_readable(self) -> bool {
        self.intersects(Self::READABLE)
    }

    /// Whether writing is worth a try.
    pub const fn is_writable(self) -> bool {
        self.intersects(Self::WRITABLE)
    }

    /// Whether the peer has ended its half.
    pub const fn is_read_closed(self) -> bool {
        self.intersects(Self::READ_CLOSED)
    }

    /// Whether our half is ended, by us or by an error.
    pub const fn is_write_closed(self) -> bool {
        self.intersects(Self::WRITE_CLOSED)
    }

    /// Whether an error waits to be told.
    pub const fn is_error(self) -> bool {
        self.intersects(Self::ERROR)
    }

    /// Whether urgent data came.
    pub const fn is_priority(self) -> bool {
        self.intersects(Self::PRIORITY)
    }

    /// Whether nothing is ready.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn to_bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Readiness {
        Readiness(bits)
    }

    pub(crate) const fn intersects(self, other: Readiness) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn without(self, other: Readiness) -> Readiness {
        Readiness(self.0 & !other.0)
    }

    /// The part of it that answers `interest`.
    pub(crate) fn satisfying(self, interest: Interest) -> Readiness {
        let mut asked = interest
            .directions()
            .fold(0, |mask, d| mask | d.readiness_mask().0);
        if !interest.non_directional().is_empty() {
            asked |= interest.non_directional().readiness_mask().0;
        }
        Readiness(self.0 & asked)
    }

    /// Whether hang-up, an error or urgent data was reported: then a short read no longer means
    /// "drained", and those who wait for nothing else are to be told.
    pub(crate) const fn is_exceptional(self) -> bool {
        let end = Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0 | Self::ERROR.0;
        self.intersects(Readiness(end | Self::URGENT.0))
    }
}

impl ops::BitOr for Readiness {
    type Output = Readiness;

    fn bitor(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }
}

impl ops::BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Readiness) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (1, "READABLE"),
            (2, "WRITABLE"),
            (4, "READ_CLOSED"),
            (8, "WRITE_CLOSED"),
            (16, "ERROR"),
            (32, "URGENT"),
            (64, "PRIORITY"),
            (128, "LEVEL"),
        ];
        write_flags(f, "Readiness", self.0, &names)
    }
}

fn write_flags(
    f: &mut fmt::Formatter<'_>,
    of: &str,
    bits: u8,
    names: &[(u8, &str)],
) -> fmt::Result {
    write!(f, "{of}(")?;
    let mut between = "";
    for (_, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
        write!(f, "{between}{name}")?;
        between = " | ";
    }
    write!(f, ")")
}
