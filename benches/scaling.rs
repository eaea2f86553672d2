//! What one ready descriptor among many costs on each backend of this platform, and what it costs to
//! change who waits. poll and select hand the kernel everything at every wait; epoll and kqueue keep it
//! there.
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

/// Each figure is the median of as many runs as fit in here, and of 21 at least.
const TIME: Duration = Duration::from_millis(700);

const NOTE: &str = "
What epoll does for one ready descriptor does not depend on the others; poll and select look at each of
them, and so does the reactor on them. Each descriptor is a UDP socket of its own here. From some
thousands on these no longer fit into the processor's cache, and the lines get steeper than the number:
poll(2) alone, asked for 10,000 duplicates of one socket instead, takes ten times what it takes for 1,000.
To change who waits is a system call for epoll, and for poll and select one the first time, fstat(2),
which finds out whether the descriptor can be waited for at all.
";

/// The medians, in microseconds.
struct Row {
    backend: Backend,
    watched: usize,
    /// One turn of the reactor with one ready descriptor, reading it, and waiting again.
    ready: f64,
    /// `CHANGED` descriptors that are waited for, and then not any more.
    changed: f64,
}

fn main() -> io::Result<()> {
    let mut rows = Vec::new();
    for watched in WATCHED {
        for &backend in Backend::available() {
            match measure(backend, watched) {
                Ok(row) => rows.push(row),
                Err(e) => eprintln!("left out: {backend} with {watched}: {e}"),
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
    // What registering has to tell, batch after batch, is told before anything is measured.
    let mut told = None;
    while told != Some(reactor.stats().events) {
        told = Some(reactor.stats().events);
        reactor.turn(Some(Duration::ZERO))?;
    }
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    let mut at = 0;
    let ready = median(|| {
        // Another one each time, as far apart as they go.
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

/// One descriptor each, everywhere: a pair would need two.
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

/// One of a row's.
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
            "a turn with one ready, its read, and waiting again",
            |row| row.ready,
        ),
        ("100 begin to be waited for, and cease to be", |row| {
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

/// Both axes count in powers of ten, so that what grows with the number is a slope and what does not
/// is level.
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
