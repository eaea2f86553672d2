//! The record of a run: what happened, when in virtual time, and on which host.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::diagram::Diagram;
use super::entry::{Entry, Event};
use super::hash::StableHash;

/// The number of entries from which the older half is forgotten. At about 100 bytes each that
/// bounds the memory of a trace.
const MAX_ENTRIES: usize = 200_000;

/// The record of a run of a simulated world, with a hash of all its entries.
///
/// Two runs with one seed have equal traces, and therefore equal [hashes](Trace::hash), also in
/// different builds and on different machines. An entry contains no address of memory, no
/// descriptor and no real time.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::sim::{Event, Trace};
///
/// let mut trace = Trace::new();
/// trace.push(Duration::from_millis(3), "db", Event::Note("compaction begins".to_owned()));
/// assert_eq!(trace.last(10).to_string(), "  0.003000000 db: compaction begins\n");
///
/// let mut other = Trace::new();
/// other.push(Duration::from_millis(4), "db", Event::Note("compaction begins".to_owned()));
/// assert_ne!(trace.hash(), other.hash());
/// assert_eq!(trace.difference(&other).unwrap().position, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    entries: Vec<Entry>,
    /// The number of older entries that are no longer kept, and the hash of them.
    forgotten: (u64, StableHash),
    /// The hash of the forgotten entries and the older half of the kept ones.
    older: StableHash,
    max_entries: usize,
    hash: StableHash,
}

impl Trace {
    /// Creates an empty trace.
    pub fn new() -> Trace {
        Trace {
            entries: Vec::new(),
            forgotten: (0, StableHash::new()),
            older: StableHash::new(),
            max_entries: MAX_ENTRIES,
            hash: StableHash::new(),
        }
    }

    /// Appends an entry.
    ///
    /// The hash covers all entries. The trace keeps the last 100,000 at least.
    pub fn push(&mut self, at: Duration, host: impl Into<Arc<str>>, event: Event) {
        let entry = Entry {
            at,
            host: host.into(),
            event,
        };
        let before = self.hash;
        entry.hash(&mut self.hash);
        let half = self.max_entries / 2;
        if self.entries.len() == self.max_entries {
            self.entries.drain(..half);
            self.forgotten = (self.forgotten.0 + half as u64, self.older);
            self.older = before;
        }
        self.entries.push(entry);
        if self.entries.len() == half {
            self.older = self.hash;
        }
    }

    /// Returns a hash of all entries, which is the same in every build and on every machine.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Returns the entries that are kept: all, or the last ones of a long run.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the number of entries that were appended.
    pub fn len(&self) -> u64 {
        self.forgotten.0 + self.entries.len() as u64
    }

    /// Returns true if nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the last `count` entries as text, a line each, after a line that says how many
    /// entries come before them.
    pub fn last(&self, count: usize) -> Lines<'_> {
        let begin = self.entries.len().saturating_sub(count);
        Lines {
            entries: &self.entries[begin..],
            omitted: self.forgotten.0 + begin as u64,
        }
    }

    /// Returns the first entry in which two traces differ, or `None` if they are equal.
    pub fn difference(&self, other: &Trace) -> Option<Difference> {
        if self.hash == other.hash && self.len() == other.len() {
            return None;
        }
        let mut position = self.forgotten.0.max(other.forgotten.0);
        let is_first = self.forgotten == other.forgotten;
        loop {
            let (one, two) = (self.get(position), other.get(position));
            if one != two || one.is_none() {
                return Some(Difference {
                    position,
                    is_first,
                    one: one.cloned(),
                    other: two.cloned(),
                });
            }
            position += 1;
        }
    }

    fn get(&self, position: u64) -> Option<&Entry> {
        let index = position.checked_sub(self.forgotten.0)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Draws the last events as a sequence diagram: an SVG document without references to other
    /// files, with the colors of the reader's theme.
    ///
    /// Each host is a vertical line, each packet an arrow from its sender to its receiver, or to a
    /// cross where it was lost. Time advances downwards, one row for each event. A diagram has at
    /// most 500 rows; its first line says how many earlier events it leaves out.
    pub fn to_svg(&self) -> String {
        Diagram::of(&self.entries, self.forgotten.0).to_string()
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new()
    }
}

/// The last lines of a trace. Returned by [`Trace::last`].
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    entries: &'a [Entry],
    omitted: u64,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.omitted > 0 {
            writeln!(f, "  ({} earlier events)", self.omitted)?;
        }
        for entry in self.entries {
            writeln!(f, "  {entry}")?;
        }
        Ok(())
    }
}

/// The first entry in which two traces differ. Returned by [`Trace::difference`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The position of the entry in the trace, from zero.
    pub position: u64,
    /// True if all entries before are known to be equal. False if the traces are so long that they
    /// no longer have the entries in which they first differed.
    pub is_first: bool,
    /// The entry of the one trace, if it has one at that position.
    pub one: Option<Entry>,
    /// The entry of the other trace, if it has one at that position.
    pub other: Option<Entry>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} differs", self.position)?;
        if !self.is_first {
            write!(f, " (earlier ones too, which are no longer kept)")?;
        }
        for (run, entry) in [("one run", &self.one), ("the other", &self.other)] {
            match entry {
                Some(entry) => write!(f, "\n  {run}: {entry}")?,
                None => write!(f, "\n  {run}: has ended")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Packet;
    use super::super::entry::tests::packet;
    use super::*;

    fn trace(lens: &[usize]) -> Trace {
        let mut trace = Trace::new();
        for (id, len) in lens.iter().enumerate() {
            let at = Duration::from_micros(id as u64);
            trace.push(at, "web", Event::Sent(packet(id as u64, *len)));
        }
        trace
    }

    #[test]
    fn equal_runs_have_equal_hashes_and_no_difference() {
        assert_eq!(trace(&[1, 2, 3]).hash(), trace(&[1, 2, 3]).hash());
        assert_eq!(trace(&[1, 2, 3]).difference(&trace(&[1, 2, 3])), None);
        assert_eq!(Trace::new().difference(&Trace::default()), None);
    }

    #[test]
    fn every_part_of_an_entry_counts_in_the_hash() {
        let (at, host) = (Duration::from_secs(1), "web");
        let of = |at, host: &str, event| {
            let mut trace = Trace::new();
            trace.push(at, host, event);
            trace.hash()
        };
        let changed = |change: fn(&mut Packet)| {
            let mut packet = packet(1, 1);
            change(&mut packet);
            of(at, host, Event::Sent(packet))
        };
        let hashes = [
            of(at, host, Event::Sent(packet(1, 1))),
            of(
                at + Duration::from_nanos(1),
                host,
                Event::Sent(packet(1, 1)),
            ),
            of(at, "db", Event::Sent(packet(1, 1))),
            of(at, host, Event::Delivered(packet(1, 1))),
            of(at, host, Event::Dropped(packet(1, 1), "loss")),
            of(at, host, Event::Dropped(packet(1, 1), "partition")),
            of(at, host, Event::Note("x".to_owned())),
            of(at, host, Event::Socket("x".to_owned())),
            of(at, host, Event::Host("x".to_owned())),
            changed(|packet| packet.id = 2),
            changed(|packet| packet.len = 2),
            changed(|packet| packet.kind = "FIN"),
            changed(|packet| packet.from.set_port(1)),
            changed(|packet| packet.to.set_ip([10, 0, 0, 3].into())),
            changed(|packet| packet.to = "[fd00::1]:80".parse().unwrap()),
            changed(|packet| packet.to = "[fd00::2]:80".parse().unwrap()),
        ];
        let different: std::collections::BTreeSet<u64> = hashes.into_iter().collect();
        assert_eq!(different.len(), hashes.len());
    }

    #[test]
    fn a_difference_names_the_first_event_that_differs() {
        let difference = trace(&[1, 2, 3]).difference(&trace(&[1, 9, 9])).unwrap();
        assert_eq!(difference.position, 1);
        assert!(difference.is_first);
        assert_eq!(
            difference.to_string(),
            "event 1 differs\n  \
             one run: 0.000001000 web: sent data #1 10.0.0.1:4000 -> 10.0.0.2:80, 2 bytes\n  \
             the other: 0.000001000 web: sent data #1 10.0.0.1:4000 -> 10.0.0.2:80, 9 bytes"
        );
    }

    #[test]
    fn a_run_that_ends_earlier_differs_at_its_end() {
        let difference = trace(&[1]).difference(&trace(&[1, 2])).unwrap();
        assert_eq!((difference.position, difference.one), (1, None));
    }

    #[test]
    fn a_long_trace_forgets_its_older_half_and_says_so() {
        let mut long = trace(&[]);
        long.max_entries = 4;
        let whole = trace(&[7; 10]);
        for entry in whole.entries() {
            long.push(entry.at, entry.host.clone(), entry.event.clone());
        }
        assert_eq!((long.len(), long.entries().len()), (10, 4));
        assert_eq!(long.hash(), whole.hash());
        let text = long.last(2).to_string();
        assert!(
            text.starts_with("  (8 earlier events)\n  0.000008000 web: sent"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_difference_in_forgotten_entries_is_not_called_the_first() {
        let short = |lens: &[usize]| {
            let mut short = Trace::new();
            short.max_entries = 4;
            for entry in trace(lens).entries() {
                short.push(entry.at, entry.host.clone(), entry.event.clone());
            }
            short
        };
        let one = short(&[7; 10]);
        let late = one.difference(&short(&[7, 7, 7, 7, 7, 7, 7, 7, 7, 1]));
        assert_eq!(
            late.map(|late| (late.position, late.is_first)),
            Some((9, true))
        );
        let early = one
            .difference(&short(&[7, 1, 7, 7, 7, 7, 7, 7, 7, 7]))
            .unwrap();
        assert!(!early.is_first);
        assert!(
            early
                .to_string()
                .starts_with("event 10 differs (earlier ones too"),
            "{early}"
        );
    }
}
