//! The load generator: an epoll loop without a runtime and without unnecessary system calls. Each
//! busy connection has one request in flight; the number of requests is fixed in advance.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::sys::{self, Epoll};

/// The outcome of a run.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) requests: usize,
    pub(crate) wall: Duration,
    latencies: Vec<u32>,
}

impl Outcome {
    /// Adds the outcome of another run.
    pub(crate) fn add(&mut self, other: Outcome) {
        self.requests += other.requests;
        self.wall += other.wall;
        self.latencies.extend(other.latencies);
    }

    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// Returns the latency in microseconds that this share of the requests did not exceed.
    pub(crate) fn quantile(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let at = (self.latencies.len() as f64 * share) as usize;
        let at = at.min(self.latencies.len().saturating_sub(1));
        self.latencies
            .get(at)
            .map_or(0.0, |&ns| f64::from(ns) / 1e3)
    }
}

struct Connection {
    fd: OwnedFd,
    sent: usize,
    received: usize,
    started: Instant,
}

/// Open connections to one server.
pub(crate) struct Load {
    port: u16,
    epoll: Epoll,
    connections: Vec<Connection>,
    request: Vec<u8>,
    reply: usize,
    buffer: Vec<u8>,
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the server did not respond in time")
}

impl Load {
    /// Creates a generator. Without a length for the reply, it measures that of a first reply.
    pub(crate) fn new(port: u16, request: Vec<u8>, reply: Option<usize>) -> io::Result<Load> {
        let mut load = Load {
            port,
            epoll: Epoll::new()?,
            connections: Vec::new(),
            request,
            reply: reply.unwrap_or(0),
            buffer: vec![0; 64 * 1024],
        };
        if reply.is_none() {
            load.reply = load.probe()?;
        }
        Ok(load)
    }

    fn probe(&mut self) -> io::Result<usize> {
        let fd = sys::connect(2, self.port)?;
        let until = Instant::now() + Duration::from_secs(10);
        let mut sent = false;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            if !sent {
                sent = sys::send(fd.as_raw_fd(), &self.request).is_ok();
                continue;
            }
            match sys::receive(fd.as_raw_fd(), &mut self.buffer) {
                Ok(read) => return Ok(read),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Err(late())
    }

    /// Opens `connections` connections and sends one request on each.
    pub(crate) fn open(&mut self, connections: usize, limit: Duration) -> io::Result<()> {
        const AT_A_TIME: usize = 64;
        let until = Instant::now() + limit;
        while self.connections.len() < connections {
            let from = self.connections.len();
            for key in from..connections.min(from + AT_A_TIME) {
                let fd = sys::connect(2 + (key % 100) as u8, self.port)?;
                self.epoll.add(fd.as_raw_fd(), sys::EDGE_BOTH, key as u64)?;
                self.connections.push(Connection {
                    fd,
                    sent: self.request.len(),
                    received: self.reply,
                    started: Instant::now(),
                });
            }
            let range = from..self.connections.len();
            let requests = range.len();
            self.run(
                range,
                requests,
                until.saturating_duration_since(Instant::now()),
            )?;
        }
        Ok(())
    }

    /// Makes `requests` requests on a range of the connections.
    pub(crate) fn run(
        &mut self,
        busy: std::ops::Range<usize>,
        requests: usize,
        limit: Duration,
    ) -> io::Result<Outcome> {
        let started = Instant::now();
        let mut outcome = Outcome {
            requests,
            wall: Duration::ZERO,
            latencies: Vec::with_capacity(requests),
        };
        let mut left = requests;
        for key in busy {
            if left == 0 {
                break;
            }
            left -= 1;
            self.begin(key)?;
        }
        let mut ready = Vec::new();
        while outcome.latencies.len() < requests {
            ready.clear();
            ready.extend(self.epoll.wait(100)?.iter().map(|event| event.u64));
            for &key in &ready {
                let key = key as usize;
                if !self.advance(key)? {
                    continue;
                }
                let latency = self.connections[key].started.elapsed();
                outcome.latencies.push(latency.as_nanos() as u32);
                if left > 0 {
                    left -= 1;
                    self.begin(key)?;
                }
            }
            if started.elapsed() > limit {
                return Err(late());
            }
        }
        outcome.wall = started.elapsed();
        Ok(outcome)
    }

    /// Sends a new request.
    fn begin(&mut self, key: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        connection.sent = 0;
        connection.received = 0;
        connection.started = Instant::now();
        self.push(key)
    }

    fn push(&mut self, key: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        while connection.sent < self.request.len() {
            let rest = &self.request[connection.sent..];
            match sys::send(connection.fd.as_raw_fd(), rest) {
                Ok(sent) => connection.sent += sent,
                Err(e) if is_not_yet(&e) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Continues a request. Returns true if that completed it.
    fn advance(&mut self, key: usize) -> io::Result<bool> {
        self.push(key)?;
        let connection = &mut self.connections[key];
        if connection.received == self.reply {
            return Ok(false);
        }
        loop {
            match sys::receive(connection.fd.as_raw_fd(), &mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    connection.received += read;
                    if connection.received >= self.reply {
                        return Ok(true);
                    }
                    if read < self.buffer.len() {
                        return Ok(false);
                    }
                }
                Err(e) if is_not_yet(&e) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }
}

fn is_not_yet(e: &io::Error) -> bool {
    e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::NotConnected
}

/// Makes `connections` visits, `at_once` of them concurrently. A visit connects, makes one request,
/// reads to the end and closes.
pub(crate) fn churn(
    port: u16,
    at_once: usize,
    request: &[u8],
    connections: usize,
    limit: Duration,
) -> io::Result<Outcome> {
    struct Visit {
        fd: OwnedFd,
        ended: bool,
        sent: bool,
        started: Instant,
    }
    let started = Instant::now();
    let mut epoll = Epoll::new()?;
    let mut outcome = Outcome {
        requests: connections,
        wall: Duration::ZERO,
        latencies: Vec::with_capacity(connections),
    };
    let mut begun = 0;
    let mut begin = |epoll: &Epoll, key: usize| -> io::Result<Visit> {
        let started = Instant::now();
        let fd = sys::connect(2 + (begun % 250) as u8, port)?;
        begun += 1;
        // On loopback the connection exists at once, so the request arrives together with it.
        let sent = sys::send(fd.as_raw_fd(), request).is_ok();
        epoll.add(fd.as_raw_fd(), sys::EDGE_BOTH, key as u64)?;
        Ok(Visit {
            fd,
            ended: false,
            sent,
            started,
        })
    };
    let at_once = at_once.min(connections);
    let mut visits = Vec::new();
    for key in 0..at_once {
        visits.push(begin(&epoll, key)?);
    }
    let mut left = connections - at_once;
    let mut buffer = vec![0; 4096];
    let mut ready = Vec::new();
    while outcome.latencies.len() < connections {
        ready.clear();
        ready.extend(epoll.wait(100)?.iter().map(|event| event.u64));
        for &key in &ready {
            let visit = &mut visits[key as usize];
            if visit.ended {
                continue;
            }
            if !visit.sent {
                visit.sent = sys::send(visit.fd.as_raw_fd(), request).is_ok();
            }
            let ended = loop {
                match sys::receive(visit.fd.as_raw_fd(), &mut buffer) {
                    Ok(0) => break true,
                    Ok(_) => {}
                    Err(e) if is_not_yet(&e) => break false,
                    Err(e) => return Err(e),
                }
            };
            if ended {
                outcome
                    .latencies
                    .push(visit.started.elapsed().as_nanos() as u32);
                if left > 0 {
                    left -= 1;
                    visits[key as usize] = begin(&epoll, key as usize)?;
                } else {
                    visit.ended = true;
                }
            }
        }
        if started.elapsed() > limit {
            return Err(late());
        }
    }
    outcome.wall = started.elapsed();
    Ok(outcome)
}
