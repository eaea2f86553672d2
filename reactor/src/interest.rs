//! Directions, interest and readiness.
//!
//! A *direction* is one of the two queues that a task can wait in, *interest* is what it waits for,
//! and *readiness* is what the kernel reported.

use std::{fmt, ops};

/// A direction in which data is transferred: reading or writing.
///
/// # Examples
/// ```
/// use runtime::io::Direction;
///
/// assert_ne!(Direction::Read, Direction::Write);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the descriptor to the program: `recv`, `accept`.
    Read,
    /// From the program to the descriptor: `send`, the end of a `connect`.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// Returns the readiness that makes an operation of this direction worth an attempt.
    pub(crate) const fn readiness(self) -> Readiness {
        match self {
            Direction::Read => Readiness::READABLE,
            Direction::Write => Readiness::WRITABLE,
        }
    }

    /// Returns all readiness that concerns this direction.
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

    /// Returns the interest in this direction alone.
    pub(crate) const fn interest(self) -> Interest {
        match self {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        }
    }
}

impl From<Direction> for Interest {
    fn from(direction: Direction) -> Interest {
        direction.interest()
    }
}

impl fmt::Display for Direction {
    /// Writes a participle for a sentence about a descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Read => "reading from",
            Direction::Write => "writing to",
        })
    }
}

/// A set of conditions to wait for; a wait ends when any of them is true.
///
/// # Examples
/// ```
/// use runtime::net::Interest;
///
/// let mut interest = Interest::READABLE | Interest::WRITABLE;
/// assert!(interest.is_readable() && interest.is_writable());
/// interest |= Interest::CLOSED;
/// assert!(interest.contains(Interest::READABLE | Interest::CLOSED));
/// let interest = interest - Interest::WRITABLE;
/// assert!(!interest.is_writable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    pub(crate) const fn to_bits(self) -> u8 {
        self.0
    }

    /// Interest in data, a connection to accept, or the end of the stream.
    pub const READABLE: Interest = Interest(1);
    /// Interest in room to write, the completion of a `connect`, or a closed peer.
    pub const WRITABLE: Interest = Interest(2);
    /// Interest in the end of the peer's data: the peer has closed the connection or shut down
    /// writing. Data that it sent before may still be unread.
    ///
    /// # Platform-specific behavior
    /// The condition is EPOLLRDHUP on Linux, EV_EOF of the reading filter on kqueue, and POLLRDHUP
    /// on poll. It is reported for as long as it is true. Waiting for it fails with `Unsupported`
    /// on select, which does not distinguish an end from data, and on poll on a system without
    /// POLLRDHUP.
    pub const CLOSED: Interest = Interest(4);
    /// Interest in urgent data, or in another condition that the system calls exceptional: a change
    /// of /proc/mounts, an edge at a GPIO pin.
    ///
    /// # Platform-specific behavior
    /// The condition is EPOLLPRI on Linux and POLLPRI on poll. Waiting for it fails with
    /// `Unsupported` on kqueue and select.
    pub const PRIORITY: Interest = Interest(8);
    /// Interest in an error that the next operation returns, or in the end of writing, as when the
    /// reader of a pipe was closed.
    ///
    /// # Platform-specific behavior
    /// Waiting for it fails with `Unsupported` on select, and on poll on NetBSD.
    pub const ERROR: Interest = Interest(16);

    /// The empty interest.
    pub(crate) const NONE: Interest = Interest(0);

    /// All conditions that are not directions.
    pub(crate) const NON_DIRECTIONAL: Interest =
        Interest(Self::CLOSED.0 | Self::PRIORITY.0 | Self::ERROR.0);

    /// Returns true if the interest includes [`READABLE`](Self::READABLE).
    pub const fn is_readable(self) -> bool {
        self.contains(Self::READABLE)
    }

    /// Returns true if the interest includes [`WRITABLE`](Self::WRITABLE).
    pub const fn is_writable(self) -> bool {
        self.contains(Self::WRITABLE)
    }

    /// Returns true if the interest includes [`CLOSED`](Self::CLOSED).
    pub const fn is_closed(self) -> bool {
        self.contains(Self::CLOSED)
    }

    /// Returns true if the interest includes [`PRIORITY`](Self::PRIORITY).
    pub const fn is_priority(self) -> bool {
        self.contains(Self::PRIORITY)
    }

    /// Returns true if the interest includes [`ERROR`](Self::ERROR).
    pub const fn is_error(self) -> bool {
        self.contains(Self::ERROR)
    }

    /// Returns true if the interest includes all of `other`.
    pub const fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the interest without `other`, as the operator `-` does.
    #[must_use]
    pub const fn without(self, other: Interest) -> Interest {
        Interest(self.0 & !other.0)
    }

    /// Returns true if the interest is empty: a wait for it never ends.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the part that is not a direction. No operation detects these conditions, so none is
    /// attempted for them.
    pub(crate) const fn non_directional(self) -> Interest {
        Interest(self.0 & Self::NON_DIRECTIONAL.0)
    }

    /// Returns the readiness that satisfies the non-directional part. A closed write direction does
    /// not mean that the peer has ended: on kqueue it may be our own shutdown.
    #[cold]
    pub(crate) fn readiness_mask(self) -> Readiness {
        let mut mask = Readiness::EMPTY;
        if self.is_closed() {
            mask |= Readiness::READ_CLOSED;
        }
        if self.is_priority() {
            mask |= Readiness::PRIORITY;
        }
        if self.is_error() {
            mask |= Readiness::ERROR | Readiness::WRITE_CLOSED;
        }
        mask
    }

    /// Returns the directions, reading first.
    pub(crate) fn directions(self) -> impl Iterator<Item = Direction> {
        [
            (self.is_readable(), Direction::Read),
            (self.is_writable(), Direction::Write),
        ]
        .into_iter()
        .filter_map(|(included, direction)| included.then_some(direction))
    }

    /// Returns the directions whose registrations must all have failed for a wait to fail: the
    /// other conditions are reported by either.
    pub(crate) fn error_directions(self) -> impl Iterator<Item = Direction> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let directions = if self.non_directional().is_empty() {
            self
        } else {
            both
        };
        directions.directions()
    }

    /// Returns the readiness of its directions if both were ready.
    pub(crate) fn optimistic(self) -> Readiness {
        self.directions()
            .fold(Readiness::EMPTY, |ready, d| ready | d.readiness())
    }
}

impl ops::BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl ops::BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = *self | other;
    }
}

impl ops::Sub for Interest {
    type Output = Interest;

    fn sub(self, other: Interest) -> Interest {
        self.without(other)
    }
}

impl ops::SubAssign for Interest {
    fn sub_assign(&mut self, other: Interest) {
        *self = self.without(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::READABLE.0, "READABLE"),
            (Self::WRITABLE.0, "WRITABLE"),
            (Self::CLOSED.0, "CLOSED"),
            (Self::PRIORITY.0, "PRIORITY"),
            (Self::ERROR.0, "ERROR"),
        ];
        write_flags(f, "Interest", self.0, &names)
    }
}

/// A set of conditions that the kernel has reported for a source, kept until an operation returns
/// `WouldBlock`.
///
/// # Examples
/// ```
/// use runtime::net::{Interest, TcpListener, TcpStream};
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let stream = TcpStream::connect(listener.local_addr()?).await?;
/// let readiness = stream.ready(Interest::WRITABLE).await?;
/// assert!(readiness.is_writable() && !readiness.is_error());
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing is known to be ready.
    pub const EMPTY: Readiness = Readiness(0);
    /// Reading is worth an attempt.
    pub const READABLE: Readiness = Readiness(1);
    /// Writing is worth an attempt.
    pub const WRITABLE: Readiness = Readiness(2);
    /// The peer will send no more; what it sent before can still be read.
    pub const READ_CLOSED: Readiness = Readiness(4);
    /// Nothing can be written any more.
    pub const WRITE_CLOSED: Readiness = Readiness(8);
    /// The descriptor has an error, which the next operation returns.
    pub const ERROR: Readiness = Readiness(16);
    /// The peer sent urgent data: a read stops short of it, whatever follows.
    pub(crate) const URGENT: Readiness = Readiness(32);
    /// Urgent data came, or another exceptional condition. It never comes without `URGENT`, which
    /// is cleared when a read finds nothing; this is cleared when an attempt is made for it.
    pub const PRIORITY: Readiness = Readiness(64);
    /// Not readiness but the trigger mode of the source: its selector reports levels, where others
    /// report edges. Once set it stays. It shares the byte because `ScheduledIo::may_just_wait` and
    /// `on_short_transfer`, on the path of every request, then test mode and readiness with one
    /// load and one mask: a field of its own takes 2 more instructions a request (callgrind).
    pub(crate) const LEVEL: Readiness = Readiness(128);

    /// Returns true if reading is worth an attempt.
    pub const fn is_readable(self) -> bool {
        self.intersects(Self::READABLE)
    }

    /// Returns true if writing is worth an attempt.
    pub const fn is_writable(self) -> bool {
        self.intersects(Self::WRITABLE)
    }

    /// Returns true if the peer will send no more.
    pub const fn is_read_closed(self) -> bool {
        self.intersects(Self::READ_CLOSED)
    }

    /// Returns true if nothing can be written any more, because of a shutdown or an error.
    pub const fn is_write_closed(self) -> bool {
        self.intersects(Self::WRITE_CLOSED)
    }

    /// Returns true if the next operation returns an error.
    pub const fn is_error(self) -> bool {
        self.intersects(Self::ERROR)
    }

    /// Returns true if urgent data came.
    pub const fn is_priority(self) -> bool {
        self.intersects(Self::PRIORITY)
    }

    /// Returns true if nothing is ready.
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

    /// Returns the part that satisfies `interest`.
    pub(crate) fn satisfying(self, interest: Interest) -> Readiness {
        let masks = interest.directions().map(Direction::readiness_mask);
        let mut mask = masks.fold(Readiness::EMPTY, ops::BitOr::bitor);
        if !interest.non_directional().is_empty() {
            mask |= interest.readiness_mask();
        }
        Readiness(self.0 & mask.0)
    }

    /// Returns true if a hang-up, an error or urgent data was reported: then a short read does not
    /// mean that there is no more, and non-directional waits end.
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
            (Self::READABLE.0, "READABLE"),
            (Self::WRITABLE.0, "WRITABLE"),
            (Self::READ_CLOSED.0, "READ_CLOSED"),
            (Self::WRITE_CLOSED.0, "WRITE_CLOSED"),
            (Self::ERROR.0, "ERROR"),
            (Self::URGENT.0, "URGENT"),
            (Self::PRIORITY.0, "PRIORITY"),
            (Self::LEVEL.0, "LEVEL"),
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
    let mut separator = "";
    for (_, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
        write!(f, "{separator}{name}")?;
        separator = " | ";
    }
    write!(f, ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_is_added_and_removed() {
        let mut interest = Interest::READABLE;
        interest |= Interest::WRITABLE | Interest::ERROR;
        assert!(interest.contains(Interest::WRITABLE | Interest::READABLE));
        assert!(!interest.contains(Interest::WRITABLE | Interest::CLOSED));
        interest -= Interest::WRITABLE | Interest::CLOSED;
        assert_eq!(interest, Interest::READABLE | Interest::ERROR);
        assert!((interest - interest).is_empty());
    }
}
