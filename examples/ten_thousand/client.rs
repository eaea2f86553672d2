//! The clients: as many connections, in one thread of another process.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpStream;
use runtime::task::JoinSet;
use runtime::time::{Duration, Instant};

use crate::common;

/// What is sent, and expected back.
const PING: &[u8; 32] = b"is there anybody on the far end?";

/// So many connections are being made at a time, and so many pings are on their way when only some
/// of the clients are busy.
const AT_A_TIME: usize = 64;

/// In each of the first rounds another tenth of the clients is busy, in the last ones everybody
/// speaks at once.
pub(crate) const ROUNDS: usize = BUSY_ROUNDS + LOUD_ROUNDS;
const BUSY_ROUNDS: usize = 20;
const LOUD_ROUNDS: usize = 5;

/// How many pings that makes.
pub(crate) fn pings(connections: usize) -> usize {
    BUSY_ROUNDS * connections.div_ceil(10) + LOUD_ROUNDS * connections
}

type Connections = Rc<Vec<TcpStream>>;

/// Connects, waits for a line on standard input, talks and reports, and waits for the input's end.
pub(crate) async fn run(server: &str, count: usize) -> io::Result<()> {
    let connections = connect(server, count).await?;
    wait_for_input().await?;

    let mut stdout = io::stdout();
    let mut few = Latencies::default();
    for round in 0..BUSY_ROUNDS {
        let tenth = count.div_ceil(10);
        let busy: Vec<usize> = (0..tenth).map(|i| (round * tenth + i) % count).collect();
        few.0
            .append(&mut talk(&connections, busy, AT_A_TIME).await?);
        writeln!(stdout, "round {}", round + 1)?;
    }
    let mut all = Latencies::default();
    for round in BUSY_ROUNDS..ROUNDS {
        let everybody = (0..count).collect();
        all.0
            .append(&mut talk(&connections, everybody, count).await?);
        writeln!(stdout, "round {}", round + 1)?;
    }
    few.print(&format!("latency, {AT_A_TIME} pings at a time"));
    all.print(&format!("latency, all {count} at once"));
    writeln!(stdout, "done")?;
    stdout.flush()?;
    wait_for_input().await
}

/// For a word from the server, which is short and comes whole, or its end.
async fn wait_for_input() -> io::Result<()> {
    runtime::io::stdin().read(&mut [0; 16]).await.map(drop)
}

async fn connect(server: &str, count: usize) -> io::Result<Connections> {
    let connections = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let left = Rc::new(Cell::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (connections, left) = (connections.clone(), left.clone());
        let server = server.to_owned();
        workers.spawn(async move {
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                let stream = TcpStream::connect(&server).await?;
                connections.borrow_mut().push(stream);
            }
            io::Result::Ok(())
        });
    }
    for result in workers.join_all().await {
        result?;
    }
    Ok(Rc::new(connections.take()))
}

/// Lets each of `speakers` send its ping, `at_a_time` of them together, and gives the times until
/// the pings are back.
async fn talk(
    connections: &Connections,
    speakers: Vec<usize>,
    at_a_time: usize,
) -> io::Result<Vec<Duration>> {
    let speakers = Rc::new(RefCell::new(speakers));
    let mut workers = JoinSet::new();
    for _ in 0..at_a_time.min(speakers.borrow().len()) {
        let (connections, speakers) = (connections.clone(), speakers.clone());
        workers.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let Some(speaker) = speakers.borrow_mut().pop() else {
                    return Ok(latencies);
                };
                latencies.push(ping(&connections[speaker]).await?);
            }
        });
    }
    let latencies: io::Result<Vec<_>> = workers.join_all().await.into_iter().collect();
    Ok(latencies?.concat())
}

async fn ping(mut stream: &TcpStream) -> io::Result<Duration> {
    let start = Instant::now();
    stream.write_all(PING).await?;
    let mut pong = [0; PING.len()];
    stream.read_exact(&mut pong).await?;
    if pong == *PING {
        Ok(start.elapsed())
    } else {
        Err(io::Error::other("what came back is not what was sent"))
    }
}

#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn print(&mut self, what: &str) {
        self.0.sort_unstable();
        let last = self.0.len() - 1;
        let at = |share: f64| self.0[(last as f64 * share) as usize];
        common::say(format_args!(
            "{what}: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, max {:.1?} of {} pings",
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            self.0[last],
            self.0.len()
        ));
    }
}
