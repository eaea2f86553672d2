//! The cost of one ready descriptor among many, and of changing the set of waiting descriptors, on
//! each backend of this platform. poll and select pass all descriptors to the kernel in each wait;
//! epoll and kqueue keep them in the kernel.
//!
//! Run with: `cargo run -p bench --release --bin scaling` (a minute; writes `SCALING.md` and
//! `plots/scaling.svg` here). It needs 10,200 descriptors; with fewer it stops earlier.

use std::fmt::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{fs, io};

use plotters::prelude::*;
use runtime_reactor::{Backend, Direction, Reactor, Source};

const WATCHED: [usize; 4] = [10, 100, 1_000, 10_000];
const CHANGED: usize = 100;

/// The time for each figure, which is the median of the runs in it, at least 21.
const TIME: Duration = Duration::from_millis(700);

const NOTE: &str = "
The cost of epoll for one ready descriptor does not depend on the number of others. poll and
select examine each descriptor, and so does the reactor with these backends. Each descriptor here
is a separate UDP socket. A few thousand of them exceed the processor's cache, so from there on
the time grows faster than the number: poll(2) alone, called with 10,000 duplicates of one socket,
takes ten times as long as with 1,000. Changing the set of waiting descriptors is a system call
for epoll. For poll and select it is one system call for each new descriptor, fstat(2), which
finds out whether the descriptor can be polled at all.
";

/// The medians, in microseconds.
struct Row {
    backend: Backend,
    watched: usize,
    /// A turn of the reactor with one ready descriptor, its read, and the next wait for it.
    ready: f64,
    /// Registering and removing `CHANGED` descriptors.
    changed: f64,
}

fn main() -> io::Result<()> {
    let mut rows = Vec::new();
    for watched in WATCHED {
        for &backend in Backend::available() {
            match measure(backend, watched) {
                Ok(row) => rows.push(row),
                Err(e) => eprintln!("omitted: {backend} with {watched}: {e}"),
            }
        }
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = table(&rows);
    print!("{text}");
    fs::write(here.join("SCALING.md"), text)?;
    plot(&rows, &here.join("plots/scaling.svg")).map_err(|e| io::Error::other(e.to_string()))
}

fn measure(backend: Backend, watched: usize) -> io::Result<Row> {
    let reactor = Reactor::with_backend(backend)?;
    let _entered = reactor.enter();
    let mut others: Vec<UdpSocket> = (0..CHANGED).map(|_| socket()).collect::<io::Result<_>>()?;
    let sources = (0..watched).map(|_| Ok(Source::new(socket()?).sole_owner()));
    let sources: Vec<Source<UdpSocket>> = sources.collect::<io::Result<_>>()?;
    for source in &sources {
        assert!(receive(source)?.is_pending());
    }
    // Registering causes events, which are delivered before the measurement begins.
    let mut events = None;
    while events != Some(reactor.stats().events) {
        events = Some(reactor.stats().events);
        reactor.turn(Some(Duration::ZERO))?;
    }
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    let mut at = 0;
    let ready = median(|| {
        // A different descriptor each time, far from the last one.
        at = (at + watched / 2 + 1) % watched;
        let source = &sources[at];
        sender.send_to(b"x", source.get_ref().local_addr()?)?;
        let begun = Instant::now();
        reactor.turn(None)?;
        assert!(receive(source)?.is_ready());
        assert!(receive(source)?.is_pending());
        Ok(begun.elapsed())
    })?;
    let changed = median(|| {
        let taken = std::mem::take(&mut others);
        let begun = Instant::now();
        for socket in taken {
            let source = Source::new(socket);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(source.poll_begun(Direction::Read, &mut cx)?.is_pending());
            others.push(source.into_inner());
        }
        Ok(begun.elapsed())
    })?;
    Ok(Row {
        backend,
        watched,
        ready,
        changed,
    })
}

/// Opens a socket. UDP needs one descriptor for each; a pair would need two.
fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn receive(source: &Source<UdpSocket>) -> io::Result<Poll<usize>> {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = source.poll_io(Direction::Read, &mut cx, |it| it.recv(&mut [0; 8]));
    Ok(match polled {
        Poll::Ready(received) => Poll::Ready(received?),
        Poll::Pending => Poll::Pending,
    })
}

fn median(mut run: impl FnMut() -> io::Result<Duration>) -> io::Result<f64> {
    let begun = Instant::now();
    let mut runs = Vec::new();
    while runs.len() < 21 || begun.elapsed() < TIME {
        runs.push(run()?);
    }
    runs.sort_unstable();
    Ok(runs[runs.len() / 2].as_secs_f64() * 1e6)
}

/// Selects a figure of a row.
type Figure = fn(&Row) -> f64;

fn find(rows: &[Row], backend: Backend, watched: usize) -> Option<&Row> {
    let mut rows = rows.iter();
    rows.find(|row| row.backend == backend && row.watched == watched)
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "# One ready descriptor among many\n\n\
         Microseconds, medians. Written by `cargo run -p bench --release --bin scaling`.\n\n\
         ![time against the number of watched descriptors](plots/scaling.svg)\n",
    );
    let kinds: [(&str, Figure); 2] = [
        (
            "turn with one ready descriptor, its read, and the next wait",
            |row| row.ready,
        ),
        ("registering and removing 100 descriptors", |row| {
            row.changed
        }),
    ];
    for (title, value) in kinds {
        let _ = write!(text, "\n| {title} |");
        for watched in WATCHED {
            let _ = write!(text, " {watched} watched |");
        }
        text.push_str("\n|---|---:|---:|---:|---:|\n");
        for &backend in Backend::available() {
            let _ = write!(text, "| {backend} |");
            for watched in WATCHED {
                match find(rows, backend, watched) {
                    Some(row) => _ = write!(text, " {:.1} |", value(row)),
                    None => text.push_str(" |"),
                }
            }
            text.push('\n');
        }
    }
    text.push_str(NOTE);
    text
}

/// Draws the chart with logarithmic axes: a time that grows with the number is a slope, a constant
/// time is level.
fn plot(rows: &[Row], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    const COLORS: [RGBColor; 4] = [
        RGBColor(200, 30, 30),
        RGBColor(30, 80, 160),
        RGBColor(40, 140, 70),
        RGBColor(200, 130, 0),
    ];
    let area = SVGBackend::new(path, (720, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = "A turn with one ready descriptor, in microseconds";
    let least = rows.iter().map(|row| row.ready).fold(f64::MAX, f64::min);
    let most = rows.iter().map(|row| row.ready).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(
            (8_f64..13_000_f64).log_scale(),
            (least / 2.0..most * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("descriptors watched")
        .light_line_style(WHITE)
        .label_style(("sans-serif", 12))
        .draw()?;
    for (&backend, color) in Backend::available().iter().zip(COLORS) {
        let points: Vec<(f64, f64)> = WATCHED
            .iter()
            .filter_map(|&watched| find(rows, backend, watched))
            .map(|row| (row.watched as f64, row.ready))
            .collect();
        chart
            .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
            .label(backend.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 11, y + 6)], color.filled()));
        chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 12))
        .draw()?;
    area.present()?;
    Ok(())
}
