//! The clients of `ten_thousand`: all connections on one thread of a second process.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpSocket, TcpStream};
use runtime::task::JoinSet;
use runtime::time::{Duration, Instant};

use crate::common;

/// The message that is sent and expected back.
const PING: &[u8; 32] = b"thirty-two bytes that come back!";

/// The number of connections opened at a time, and of pings in flight in a quiet round.
const CONCURRENCY: usize = 64;

/// The total number of rounds. In each quiet round another tenth of the clients sends one ping
/// each; in each full round all clients send at once.
pub(crate) const ROUNDS: usize = QUIET_ROUNDS + FULL_ROUNDS;
const QUIET_ROUNDS: usize = 20;
const FULL_ROUNDS: usize = 5;

/// Returns the total number of pings.
pub(crate) fn pings(connections: usize) -> usize {
    QUIET_ROUNDS * connections.div_ceil(10) + FULL_ROUNDS * connections
}

/// The number of connections from one address. A system has about 28,000 ports for them
/// (ip_local_port_range in Linux).
const CONNECTIONS_PER_ADDRESS: usize = 20_000;

type Connections = Rc<Vec<TcpStream>>;

/// Connects, waits for a line on standard input, sends the pings, prints the latencies, and waits
/// for the end of standard input.
pub(crate) async fn run(server: &str, count: usize) -> io::Result<()> {
    let connections = connect(server, count).await?;
    wait_for_input().await?;

    let mut stdout = io::stdout();
    let mut quiet = Latencies::default();
    for round in 0..QUIET_ROUNDS {
        let tenth = count.div_ceil(10);
        let clients: Vec<usize> = (0..tenth).map(|i| (round * tenth + i) % count).collect();
        let latencies = exchange(&connections, clients, CONCURRENCY).await?;
        quiet.0.extend(latencies);
        writeln!(stdout, "round {}", round + 1)?;
    }
    let mut full = Latencies::default();
    for round in QUIET_ROUNDS..ROUNDS {
        let clients = (0..count).collect();
        let latencies = exchange(&connections, clients, count).await?;
        full.0.extend(latencies);
        writeln!(stdout, "round {}", round + 1)?;
    }
    quiet.print(&format!("latency, {CONCURRENCY} pings at a time"));
    full.print(&format!("latency, all {count} at once"));
    writeln!(stdout, "done")?;
    stdout.flush()?;
    wait_for_input().await
}

/// Waits for a line of the server, which arrives in one read, or for the end of standard input.
async fn wait_for_input() -> io::Result<()> {
    runtime::io::stdin().read(&mut [0; 16]).await.map(drop)
}

async fn connect(server: &str, count: usize) -> io::Result<Connections> {
    let connections = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let left = Rc::new(Cell::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (connections, left) = (connections.clone(), left.clone());
        let server = server.to_owned();
        workers.spawn(async move {
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                let stream = connect_from(rest / CONNECTIONS_PER_ADDRESS, &server).await?;
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

/// Connects from another address of 127.0.0.0/8 for each `group` of clients but the first, if the
/// server has one of them.
async fn connect_from(group: usize, server: &str) -> io::Result<TcpStream> {
    match server.parse() {
        Ok(SocketAddr::V4(server)) if server.ip().is_loopback() && group > 0 => {
            let socket = TcpSocket::new_v4()?;
            let [_, _, c, d] = (1 + group as u32).to_be_bytes();
            socket.bind(SocketAddr::from(([127, 0, c, d], 0)))?;
            socket.connect(server.into()).await
        }
        _ => TcpStream::connect(server).await,
    }
}

/// Sends a ping from each of `clients`, at most `concurrency` at a time, and returns the round-trip
/// times.
async fn exchange(
    connections: &Connections,
    clients: Vec<usize>,
    concurrency: usize,
) -> io::Result<Vec<Duration>> {
    let clients = Rc::new(RefCell::new(clients));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency.min(clients.borrow().len()) {
        let (connections, clients) = (connections.clone(), clients.clone());
        workers.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let Some(client) = clients.borrow_mut().pop() else {
                    return Ok(latencies);
                };
                latencies.push(ping(&connections[client]).await?);
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
        Err(io::Error::other("the echo differs from the ping"))
    }
}

#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn print(&mut self, what: &str) {
        self.0.sort_unstable();
        let last = self.0.len() - 1;
        let at = |share: f64| self.0[(last as f64 * share) as usize];
        common::print_line(format_args!(
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
