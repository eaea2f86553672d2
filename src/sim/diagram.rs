//! A trace as a picture: a sequence diagram of hosts and packets, in SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::entry::{Entry, Event, Packet};

/// The maximum number of rows.
const MAX_ROWS: usize = 500;
/// The maximum number of characters of a label.
const MAX_LABEL: usize = 60;

const ROW: usize = 22;
const TOP: usize = 64;
const LEFT: usize = 170;
const COLUMN: usize = 240;

/// The colors, which follow the reader's theme.
const STYLE: &str = "\
svg{--ink:#1c2024;--faint:#59636e;--paper:#fff;--packet:#1f6feb;--lost:#cf222e;--note:#8250df;\
--host:#1a7f37;background:var(--paper);font:12px ui-monospace,Menlo,Consolas,monospace}\
@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--faint:#9198a1;--paper:#0d1117;\
--packet:#58a6ff;--lost:#ff7b72;--note:#d2a8ff;--host:#56d364}}\
text{fill:var(--ink)}.t{fill:var(--faint)}.n{font-weight:bold;font-size:14px}\
.l{stroke:var(--faint);stroke-dasharray:2 4}\
.p{stroke:var(--packet);fill:none;marker-end:url(#head)}\
.x{stroke:var(--lost);fill:none}.a{fill:var(--packet)}.note{fill:var(--note)}\
.host{fill:var(--host)}.lost{fill:var(--lost)}.dot{fill:var(--ink)}\
text{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}";

/// The head of an arrow, which points along the line.
const ARROW_HEAD: &str = "\
<defs><marker id='head' viewBox='0 0 9 8' refX='9' refY='4' markerWidth='9' markerHeight='8' \
markerUnits='userSpaceOnUse' orient='auto'><path class='a' d='M0 0L9 4L0 8z'/></marker></defs>\n";

/// The rows of a diagram.
pub(super) struct Diagram<'a> {
    entries: &'a [Entry],
    /// The number of events before the first row.
    omitted: u64,
    /// The hosts in the order of their columns.
    hosts: Vec<Arc<str>>,
    /// The row in which a packet was sent, and the column of its sender.
    sent: BTreeMap<u64, (usize, usize)>,
    /// The packets that arrive or are lost in one of the rows.
    ended: BTreeSet<u64>,
    /// The columns of the hosts that sent from an address.
    addrs: BTreeMap<IpAddr, usize>,
}

impl<'a> Diagram<'a> {
    pub(super) fn of(entries: &'a [Entry], forgotten: u64) -> Diagram<'a> {
        let hosts: BTreeSet<Arc<str>> = entries.iter().map(|entry| entry.host.clone()).collect();
        let mut hosts: Vec<Arc<str>> = hosts.into_iter().filter(|host| !host.is_empty()).collect();
        // In the order of their first events, as a story is read.
        let first = |host: &Arc<str>| entries.iter().position(|entry| entry.host == *host);
        hosts.sort_by_cached_key(first);
        let begin = entries.len().saturating_sub(MAX_ROWS);
        let mut diagram = Diagram {
            entries: &entries[begin..],
            omitted: forgotten + begin as u64,
            hosts,
            sent: BTreeMap::new(),
            ended: BTreeSet::new(),
            addrs: BTreeMap::new(),
        };
        for entry in entries {
            if let (Event::Sent(packet), Some(column)) = (&entry.event, diagram.column(entry)) {
                diagram.addrs.insert(packet.from.ip(), column);
            }
        }
        for (row, entry) in diagram.entries.iter().enumerate() {
            match &entry.event {
                Event::Sent(packet) => {
                    if let Some(column) = diagram.column(entry) {
                        diagram.sent.insert(packet.id, (row, column));
                    }
                }
                Event::Delivered(packet) | Event::Dropped(packet, _) => {
                    diagram.ended.insert(packet.id);
                }
                _ => {}
            }
        }
        diagram
    }

    fn column(&self, entry: &Entry) -> Option<usize> {
        self.hosts.iter().position(|host| *host == entry.host)
    }

    fn height(&self) -> usize {
        TOP + (self.entries.len() + 3) * ROW
    }

    fn width(&self) -> usize {
        // Labels stand to the right of their line; the last one may be long.
        LEFT + self.hosts.len().max(1) * COLUMN + 220
    }

    /// Draws the lines and points of a row.
    fn shapes(&self, f: &mut fmt::Formatter<'_>, row: usize, entry: &Entry) -> fmt::Result {
        let Some(column) = self.column(entry) else {
            return Ok(());
        };
        let (x, y) = (x_of(column), y_of(row));
        match &entry.event {
            // The line is drawn by the row in which it ends.
            Event::Sent(packet) if self.ended.contains(&packet.id) => {
                writeln!(f, "<circle class='dot' cx='{x}' cy='{y}' r='2'/>")
            }
            Event::Sent(_) => Ok(()),
            Event::Delivered(packet) => self.arrow(f, packet, x, y),
            Event::Dropped(packet, _) => {
                let (x0, y0) = self.origin(packet).unwrap_or((x, y));
                let x = self.loss_x(packet, x0);
                let (left, right, up, down) = (x - 5, x + 5, y - 5, y + 5);
                writeln!(f, "<path class='x' d='M{x0} {y0}L{x} {y}'/>")?;
                writeln!(
                    f,
                    "<path class='x' stroke-width='2' \
                     d='M{left} {up}L{right} {down}M{left} {down}L{right} {up}'/>"
                )
            }
            Event::Socket(_) => mark(f, "t", x, y),
            Event::Host(text) => mark(f, host_class(text), x, y),
            Event::Note(_) => mark(f, "note", x, y),
        }
    }

    fn arrow(
        &self,
        f: &mut fmt::Formatter<'_>,
        packet: &Packet,
        x: usize,
        y: usize,
    ) -> fmt::Result {
        let Some((x0, y0)) = self.origin(packet) else {
            return Ok(());
        };
        if x0 == x {
            let bulge = x + 40;
            return writeln!(
                f,
                "<path class='p' d='M{x} {y0}C{bulge} {y0} {bulge} {y} {x} {y}'/>"
            );
        }
        writeln!(f, "<path class='p' d='M{x0} {y0}L{x} {y}'/>")
    }

    /// Returns the point at which a packet was sent, if its row is shown.
    fn origin(&self, packet: &Packet) -> Option<(usize, usize)> {
        let (row, column) = self.sent.get(&packet.id)?;
        Some((x_of(*column), y_of(*row)))
    }

    /// Returns where the line of a lost packet ends: on the way to the receiver before the next
    /// column, or to the right where the receiver has no column.
    fn loss_x(&self, packet: &Packet, from: usize) -> usize {
        let receiver = self.addrs.get(&packet.to.ip());
        match receiver.map(|column| x_of(*column)) {
            Some(to) if to < from => from - COLUMN / 2,
            _ => from + COLUMN / 2,
        }
    }

    /// Writes the time and the label of a row.
    fn texts(&self, f: &mut fmt::Formatter<'_>, row: usize, entry: &Entry) -> fmt::Result {
        let y = y_of(row);
        let (secs, nanos) = (entry.at.as_secs(), entry.at.subsec_nanos());
        writeln!(
            f,
            "<text class='t' x='10' y='{}'>{secs}.{nanos:09}</text>",
            y + 4
        )?;
        let Some(column) = self.column(entry) else {
            let x = LEFT - 50;
            return label(f, "host", x, y, &entry.event.to_string());
        };
        let x = x_of(column);
        match &entry.event {
            Event::Sent(packet) if self.ended.contains(&packet.id) => Ok(()),
            Event::Sent(packet) => label(f, "t", x, y, &format!("{} (under way)", short(packet))),
            Event::Delivered(packet) if self.sent.contains_key(&packet.id) => {
                label(f, "b", x, y, &short(packet))
            }
            Event::Delivered(packet) => label(f, "t", x, y, &format!("received {}", short(packet))),
            Event::Dropped(packet, reason) => {
                let (x0, _) = self.origin(packet).unwrap_or((x, y));
                let text = format!("{}: {reason}", short(packet));
                label(f, "lost", self.loss_x(packet, x0) + 4, y, &text)
            }
            Event::Socket(text) => label(f, "t", x, y, text),
            Event::Host(text) => label(f, host_class(text), x, y, text),
            Event::Note(text) => label(f, "note", x, y, text),
        }
    }

    /// Writes the names of the hosts above or below their lines.
    fn names(&self, f: &mut fmt::Formatter<'_>, y: usize) -> fmt::Result {
        for (column, host) in self.hosts.iter().enumerate() {
            let (x, host) = (x_of(column), Escaped(host));
            writeln!(
                f,
                "<text class='n' text-anchor='middle' x='{x}' y='{y}'>{host}</text>"
            )?;
        }
        Ok(())
    }
}

/// Returns the class of an event of a host. Failures stand out.
fn host_class(text: &str) -> &'static str {
    if text.starts_with("failed") || text.starts_with("crashed") {
        "lost"
    } else {
        "host"
    }
}

fn mark(f: &mut fmt::Formatter<'_>, class: &str, x: usize, y: usize) -> fmt::Result {
    writeln!(f, "<circle class='{class}' cx='{x}' cy='{y}' r='3.5'/>")
}

fn x_of(column: usize) -> usize {
    LEFT + column * COLUMN
}

fn y_of(row: usize) -> usize {
    TOP + (row + 1) * ROW
}

/// The parts of a packet that matter beside its arrow.
fn short(packet: &Packet) -> String {
    match packet.len {
        0 => packet.kind.to_owned(),
        1 => format!("{} 1 byte", packet.kind),
        len => format!("{} {len} bytes", packet.kind),
    }
}

fn label(f: &mut fmt::Formatter<'_>, class: &str, x: usize, y: usize, text: &str) -> fmt::Result {
    let (x, y) = (x + 10, y + 4);
    writeln!(
        f,
        "<text class='{class}' x='{x}' y='{y}'>{}</text>",
        Escaped(text)
    )
}

/// A text without markup, cut at the length of a label.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == MAX_LABEL {
                return f.write_str("…");
            }
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '\'' => f.write_str("&#39;")?,
                '"' => f.write_str("&quot;")?,
                // XML has no other control characters, not even escaped.
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_str(" ")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Diagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = (self.width(), self.height());
        writeln!(
            f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' \
             viewBox='0 0 {width} {height}'><style>{STYLE}</style>"
        )?;
        let shown = self.entries.len();
        let title = match self.omitted {
            0 => format!("{shown} events"),
            omitted => format!("the last {shown} events; {omitted} earlier ones are left out"),
        };
        writeln!(f, "<text class='t' x='10' y='18'>{title}</text>")?;
        f.write_str(ARROW_HEAD)?;
        let bottom = height - 2 * ROW;
        for column in 0..self.hosts.len() {
            let x = x_of(column);
            writeln!(f, "<path class='l' d='M{x} {TOP}V{bottom}'/>")?;
        }
        for (row, entry) in self.entries.iter().enumerate() {
            self.shapes(f, row, entry)?;
        }
        // On top of all lines, which would cross them out.
        for (row, entry) in self.entries.iter().enumerate() {
            self.texts(f, row, entry)?;
        }
        self.names(f, TOP - 14)?;
        self.names(f, bottom + ROW)?;
        f.write_str("</svg>\n")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::entry::tests::packet;
    use super::super::trace::Trace;
    use super::*;

    fn svg(entries: impl IntoIterator<Item = (&'static str, Event)>) -> String {
        let mut trace = Trace::new();
        for (nanos, (host, event)) in entries.into_iter().enumerate() {
            trace.push(Duration::from_nanos(nanos as u64), host, event);
        }
        trace.to_svg()
    }

    #[test]
    fn a_packet_is_an_arrow_from_its_sender_to_its_receiver() {
        let drawn = svg([
            ("web", Event::Sent(packet(1, 5))),
            ("db", Event::Delivered(packet(1, 5))),
        ]);
        let (web, db) = (x_of(0), x_of(1));
        let line = format!("M{web} {}L{db} {}", y_of(0), y_of(1));
        assert!(drawn.contains(&line), "{drawn}");
        assert!(drawn.contains(">data 5 bytes</text>"), "{drawn}");
        assert!(
            drawn.contains("> 2 events") || drawn.contains(">2 events<"),
            "{drawn}"
        );
    }

    #[test]
    fn a_lost_packet_ends_at_a_cross_with_the_reason() {
        let drawn = svg([
            ("web", Event::Sent(packet(1, 0))),
            ("web", Event::Dropped(packet(1, 0), "partition")),
        ]);
        assert!(drawn.contains("class='x'"), "{drawn}");
        assert!(drawn.contains(">data: partition<"), "{drawn}");
        assert!(!drawn.contains("under way"), "{drawn}");
    }

    #[test]
    fn a_lost_packet_ends_on_the_side_of_its_receiver() {
        let answer = Packet {
            from: packet(1, 0).to,
            to: packet(1, 0).from,
            ..packet(2, 0)
        };
        let drawn = svg([
            ("web", Event::Sent(packet(1, 0))),
            ("db", Event::Sent(answer.clone())),
            ("db", Event::Dropped(answer, "partition")),
        ]);
        let (from, to) = (x_of(1), x_of(1) - COLUMN / 2);
        let line = format!("class='x' d='M{from} {}L{to} {}'", y_of(1), y_of(2));
        assert!(drawn.contains(&line), "{drawn}");
    }

    #[test]
    fn a_failure_of_a_host_has_the_color_of_losses() {
        let text = |text: &str| Event::Host(text.to_owned());
        let drawn = svg([("web", text("crashed")), ("web", text("restarted"))]);
        assert!(drawn.contains("<text class='lost' "), "{drawn}");
        assert_eq!(drawn.matches("class='host'").count(), 2, "{drawn}");
    }

    #[test]
    fn texts_are_on_top_of_all_lines() {
        let drawn = svg([
            ("web", Event::Note("begins".to_owned())),
            ("web", Event::Sent(packet(1, 5))),
            ("db", Event::Delivered(packet(1, 5))),
        ]);
        let last_line = drawn.rfind("<path").unwrap();
        assert!(
            drawn.find("<text class='note'").unwrap() > last_line,
            "{drawn}"
        );
    }

    #[test]
    fn a_packet_that_has_not_arrived_is_under_way() {
        let drawn = svg([("web", Event::Sent(packet(1, 1)))]);
        assert!(drawn.contains(">data 1 byte (under way)<"), "{drawn}");
    }

    #[test]
    fn names_and_notes_are_escaped_and_bounded() {
        let note = format!("<script>alert('&\")</script>\u{1}{}", "é".repeat(100));
        let drawn = svg([("<db>", Event::Note(note))]);
        assert!(!drawn.contains("<script"), "{drawn}");
        assert!(drawn.contains(">&lt;db&gt;<"), "{drawn}");
        assert!(
            drawn.contains("&lt;script&gt;alert(&#39;&amp;&quot;)"),
            "{drawn}"
        );
        assert!(!drawn.contains('\u{1}'), "{drawn}");
        assert!(drawn.contains("é…<"), "{drawn}");
    }

    #[test]
    fn a_long_trace_is_cut_and_the_diagram_says_how_much_is_left_out() {
        let entries = (0..1_000).map(|_| ("web", Event::Note("x".to_owned())));
        let drawn = svg(entries);
        assert!(drawn.contains("the last 500 events; 500 earlier ones are left out"));
        assert_eq!(drawn.matches("class='note'").count(), 2 * MAX_ROWS);
    }

    #[test]
    fn an_empty_trace_is_a_valid_picture() {
        let drawn = svg([]);
        assert!(
            drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"),
            "{drawn}"
        );
    }

    #[test]
    fn what_concerns_the_whole_world_has_no_column() {
        let drawn = svg([("", Event::Host("the network heals".to_owned()))]);
        assert!(drawn.contains(">the network heals<"), "{drawn}");
        assert!(!drawn.contains("class='n'"), "{drawn}");
    }
}
