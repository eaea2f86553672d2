//! Charts of the results.

use std::path::Path;
use std::{fs, io};

use plotters::prelude::*;

use crate::results::{Results, number};

/// Draws the chart of a suite, if it has one.
pub(crate) fn draw(results: &Results, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    match results.suite.as_str() {
        "servers" => {
            let rows = results.rows("cpu_us");
            let rows: Vec<_> = rows
                .into_iter()
                .filter(|row| *row != "HTTP hello x 64")
                .collect();
            let value = |row: &str, peer: &str| Some(results.ratio(row, "cpu_us", peer, "bare")?.0);
            let title = "server CPU a request, bare epoll loop = 1";
            bars(
                &folder.join("servers.svg"),
                title,
                &rows,
                &results.peers("cpu_us"),
                3.0,
                value,
            )
        }
        "growth" => growth(results, &folder.join("growth.svg")),
        "micro" => {
            let peers = results.peers("ns");
            let value = |row: &str, peer: &str| Some(results.ratio(row, "ns", peer, "runtime")?.0);
            let title = "CPU time, runtime = 1 (bars end at 10)";
            bars(
                &folder.join("micro.svg"),
                title,
                &results.rows("ns"),
                &peers,
                10.0,
                value,
            )
        }
        _ => Ok(()),
    }
}

fn color(peer: usize) -> RGBColor {
    const COLORS: [RGBColor; 9] = [
        RGBColor(200, 30, 30),
        RGBColor(120, 120, 120),
        RGBColor(30, 80, 160),
        RGBColor(110, 160, 220),
        RGBColor(40, 140, 70),
        RGBColor(200, 130, 0),
        RGBColor(240, 190, 90),
        RGBColor(110, 60, 150),
        RGBColor(180, 140, 210),
    ];
    COLORS[peer % COLORS.len()]
}

/// Draws a group of horizontal bars for each row and a bar for each peer. Bars end at `limit`.
fn bars(
    path: &Path,
    title: &str,
    rows: &[&str],
    peers: &[&str],
    limit: f64,
    value: impl Fn(&str, &str) -> Option<f64>,
) -> io::Result<()> {
    const BAR: i32 = 11;
    const LEFT: i32 = 190;
    const WIDTH: i32 = 960;
    const TOP: i32 = 70;
    let group = BAR * peers.len() as i32 + 14;
    let height = TOP + group * rows.len() as i32 + 20;
    let area = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    let draw = || -> Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        let small = ("sans-serif", 12).into_font();
        area.draw(&Text::new(title, (16, 12), ("sans-serif", 18).into_font()))?;
        for (at, peer) in peers.iter().enumerate() {
            let x = 16 + at as i32 * 104;
            let key = Rectangle::new([(x, 42), (x + 11, 53)], color(at).filled());
            area.draw(&key)?;
            area.draw(&Text::new((*peer).to_owned(), (x + 16, 42), small.clone()))?;
        }
        let scale = f64::from(WIDTH - LEFT - 70) / limit;
        for (at, row) in rows.iter().enumerate() {
            let top = TOP + group * at as i32;
            let middle = top + (group - 14) / 2 - 6;
            area.draw(&Text::new((*row).to_owned(), (16, middle), small.clone()))?;
            for (at, peer) in peers.iter().enumerate() {
                let Some(value) = value(row, peer) else {
                    continue;
                };
                let y = top + BAR * at as i32;
                let end = LEFT + (value.min(limit) * scale) as i32;
                let bar = Rectangle::new([(LEFT, y), (end, y + BAR - 1)], color(at).filled());
                area.draw(&bar)?;
                let label = format!("{value:.2}");
                area.draw(&Text::new(
                    label,
                    (end + 4, y),
                    ("sans-serif", 10).into_font(),
                ))?;
            }
        }
        let one = LEFT + scale as i32;
        let line = [(one, TOP - 6), (one, height - 16)];
        area.draw(&PathElement::new(line, BLACK.stroke_width(1)))?;
        area.present()?;
        Ok(())
    };
    draw().map_err(|e| io::Error::other(e.to_string()))
}

/// Draws how cost grows with the number of connections: a line for each peer, one chart for each
/// figure. The number of connections is logarithmic.
fn growth(results: &Results, path: &Path) -> io::Result<()> {
    const FIGURES: [(&str, &str); 3] = [
        ("cpu_us", "server CPU a request, µs"),
        ("p99_us", "99th percentile of the latency, µs"),
        ("rss_per_connection", "resident bytes a connection"),
    ];
    let area = SVGBackend::new(path, (1080, 360)).into_drawing_area();
    let draw = || -> Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        let panels = area.split_evenly((1, FIGURES.len()));
        for (panel, (figure, title)) in panels.iter().zip(FIGURES) {
            let lines = growth_lines(results, figure);
            let points = || lines.iter().flat_map(|(_, points)| points);
            let most = points().map(|point| point.1).fold(0.0, f64::max);
            let last = points().map(|point| point.0).fold(0.0, f64::max);
            let mut chart = ChartBuilder::on(panel)
                .caption(title, ("sans-serif", 15))
                .margin(12)
                .x_label_area_size(36)
                .y_label_area_size(50)
                .build_cartesian_2d((80.0..last * 1.2).log_scale(), 0.0..most * 1.25)?;
            chart
                .configure_mesh()
                .x_desc("connections, 100 of them busy")
                .light_line_style(WHITE)
                .label_style(("sans-serif", 11))
                .x_label_formatter(&|x| number(*x))
                .y_label_formatter(&|y| number(*y))
                .draw()?;
            for (at, (peer, points)) in lines.iter().enumerate() {
                let color = color(at);
                chart
                    .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
                    .label(*peer)
                    .legend(move |(x, y)| {
                        Rectangle::new([(x, y - 5), (x + 11, y + 6)], color.filled())
                    });
                chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .label_font(("sans-serif", 12))
                .draw()?;
        }
        area.present()?;
        Ok(())
    };
    draw().map_err(|e| io::Error::other(e.to_string()))
}

/// Returns the points of each peer: the number of connections, which names the row, and the median.
fn growth_lines<'a>(results: &'a Results, figure: &str) -> Vec<(&'a str, Vec<(f64, f64)>)> {
    let rows = results.rows(figure);
    let line = |peer: &'a str| {
        let points = rows.iter().filter_map(|row| {
            let connections = row.replace(',', "").parse().ok()?;
            Some((connections, results.median(row, figure, peer)?))
        });
        (peer, points.collect())
    };
    results.peers(figure).into_iter().map(line).collect()
}
