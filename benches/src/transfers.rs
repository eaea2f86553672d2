//! Moving many bytes: relays between two connections, the bodies of HTTP requests and responses,
//! and streams of QUIC.
//!
//! A server is a process on one core; both ends of its connections are threads on the other. With
//! QUIC the client is a process on the other core, and both are measured. The servers of a row take
//! turns with slices of the bytes, in alternating order.

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, ptr, thread};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;

use crate::quic::{self, Way};
use crate::results::{self, Results};
use crate::sys;

const MIB: usize = 1 << 20;
const SLICES: usize = 4;
const LIMIT: Duration = Duration::from_secs(30);

/// The ways to relay, in the order of the tables.
const RELAYS: [&str; 5] = ["runtime", "bare", "runtime-copy", "tokio", "haproxy"];
const HTTP: [&str; 2] = ["runtime", "tokio"];
const QUIC: [&str; 2] = ["runtime", "tokio"];

/// The bytes that the figures of QUIC are for.
const QUIC_BYTES: usize = 400 * MIB;
const QUIC_ROWS: [(&str, Way); 2] = [
    ("QUIC download, 400 MiB", Way::Download),
    ("QUIC upload, 400 MiB", Way::Upload),
];

#[derive(Debug, Clone, Copy)]
enum Work {
    /// Relays mebibytes over a number of connections at once.
    Relay { connections: usize, mib: usize },
    /// Relays messages of 64 bytes, there and back.
    PingPong { messages: usize },
    /// Sends bodies of so many bytes to an HTTP server.
    Upload { bytes: usize, requests: usize },
    /// Receives bodies of so many bytes from an HTTP server.
    Download { bytes: usize, requests: usize },
}

struct Shape {
    name: &'static str,
    figure: &'static str,
    work: Work,
}

const fn shape(name: &'static str, figure: &'static str, work: Work) -> Shape {
    Shape { name, figure, work }
}

const SHAPES: [Shape; 9] = [
    shape(
        "relay, 1 connection",
        "relay_s",
        Work::Relay {
            connections: 1,
            mib: 512,
        },
    ),
    shape(
        "relay, 16 connections",
        "relay_s",
        Work::Relay {
            connections: 16,
            mib: 512,
        },
    ),
    shape(
        "relay, 64 B there and back",
        "relay_us",
        Work::PingPong { messages: 2_000 },
    ),
    shape(
        "upload, 1 KiB",
        "body_us",
        Work::Upload {
            bytes: 1 << 10,
            requests: 2_000,
        },
    ),
    shape(
        "upload, 1 MiB",
        "body_us",
        Work::Upload {
            bytes: MIB,
            requests: 100,
        },
    ),
    shape(
        "upload, 300 MB",
        "body_us",
        Work::Upload {
            bytes: 300_000_000,
            requests: 1,
        },
    ),
    shape(
        "download, 1 KiB",
        "body_us",
        Work::Download {
            bytes: 1 << 10,
            requests: 2_000,
        },
    ),
    shape(
        "download, 1 MiB",
        "body_us",
        Work::Download {
            bytes: MIB,
            requests: 100,
        },
    ),
    shape(
        "download, 300 MB",
        "body_us",
        Work::Download {
            bytes: 300_000_000,
            requests: 1,
        },
    ),
];

/// Runs the suite. A slice of QUIC has so many mebibytes. `wants` tells which rows and peers are
/// measured.
pub(crate) fn run(rounds: usize, quic_mib: usize, wants: impl Fn(&str, &str) -> bool) -> Results {
    let mut results = Results::new("transfers");
    let has_haproxy = Command::new("haproxy")
        .arg("-v")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_haproxy {
        eprintln!("SKIPPED: the rows of haproxy, which is not installed");
    }
    for round in 0..rounds {
        for shape in &SHAPES {
            eprintln!("transfers {}/{rounds}: {}", round + 1, shape.name);
            let peers: &[&str] = match shape.work {
                Work::Relay { .. } | Work::PingPong { .. } => &RELAYS,
                _ => &HTTP,
            };
            let is_measured =
                |peer: &&str| wants(shape.name, peer) && (has_haproxy || *peer != "haproxy");
            let peers = peers.iter().copied().filter(is_measured);
            let figures = measure(shape, peers.collect());
            add(&mut results, round, shape.name, shape.figure, figures);
        }
        for (name, way) in QUIC_ROWS {
            eprintln!("transfers {}/{rounds}: {name}", round + 1);
            let peers = QUIC.into_iter().filter(|peer| wants(name, peer));
            let figures = measure_quic(way, quic_mib * MIB, peers);
            add(&mut results, round, name, "quic_s", figures);
        }
    }
    results
}

fn add(
    results: &mut Results,
    round: usize,
    row: &str,
    figure: &str,
    figures: io::Result<Vec<(&'static str, f64)>>,
) {
    match figures {
        Err(e) => eprintln!("  failed: {e}"),
        Ok(figures) => {
            for (peer, value) in figures {
                results.add(round, row, figure, peer, value);
            }
        }
    }
}

/// Returns the median figure of each peer's slices.
fn measure(shape: &Shape, peers: Vec<&'static str>) -> io::Result<Vec<(&'static str, f64)>> {
    sys::pin(sys::LOAD_CORE);
    // The target of the relays.
    let target = TcpListener::bind("127.0.0.1:0")?;
    let mut contenders = Vec::new();
    for peer in peers {
        let server = match shape.work {
            Work::Relay { .. } | Work::PingPong { .. } => {
                Server::relay(peer, target.local_addr()?.port())?
            }
            _ => Server::start(&["bodies", peer, "0"])?,
        };
        contenders.push((peer, server));
    }
    in_slices(contenders, |server| {
        let before = sys::cpu_time_of(server.child.id())?;
        perform(shape.work, server.port, &target)?;
        let cpu = sys::cpu_time_of(server.child.id())? - before;
        Ok(match shape.work {
            Work::Relay { mib, .. } => cpu.as_secs_f64() * 1024.0 / mib as f64,
            Work::PingPong { messages } => cpu.as_secs_f64() * 1e6 / messages as f64,
            Work::Upload { requests, .. } | Work::Download { requests, .. } => {
                cpu.as_secs_f64() * 1e6 / requests as f64
            }
        })
    })
}

/// Returns the median figure of each peer's slices, for `QUIC_BYTES`.
fn measure_quic(
    way: Way,
    bytes: usize,
    peers: impl Iterator<Item = &'static str>,
) -> io::Result<Vec<(&'static str, f64)>> {
    sys::pin(sys::LOAD_CORE);
    let pairs = peers.map(|peer| Ok((peer, quic::Pair::start(peer)?)));
    in_slices(pairs.collect::<io::Result<_>>()?, |pair| {
        let cpu = pair.transfer(way, bytes)?;
        Ok(cpu.as_secs_f64() * QUIC_BYTES as f64 / bytes as f64)
    })
}

/// Measures slices of the contenders in turn, and returns the median of each.
fn in_slices<C>(
    contenders: Vec<(&'static str, C)>,
    mut measure: impl FnMut(&mut C) -> io::Result<f64>,
) -> io::Result<Vec<(&'static str, f64)>> {
    let contenders = contenders.into_iter();
    let mut contenders: Vec<_> = contenders
        .map(|(peer, it)| (peer, it, Vec::new()))
        .collect();
    for slice in 0..=SLICES {
        for (_, contender, values) in &mut contenders {
            let value = measure(contender)?;
            // The first slice warms up.
            if slice > 0 {
                values.push(value);
            }
        }
        contenders.reverse();
    }
    let figures = contenders
        .into_iter()
        .filter_map(|(peer, _, values)| Some((peer, results::median(values.into_iter())?)));
    Ok(figures.collect())
}

/// Connects to a server. Reads and writes that take too long fail.
fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    limit(stream)
}

fn limit(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Reads until the end or until `most` bytes have come, and returns their number.
fn discard(mut stream: &TcpStream, most: usize) -> io::Result<usize> {
    let mut buffer = vec![0; 128 << 10];
    let mut received = 0;
    while received < most {
        let room = buffer.len().min(most - received);
        match stream.read(&mut buffer[..room])? {
            0 => break,
            n => received += n,
        }
    }
    Ok(received)
}

fn send(mut stream: &TcpStream, bytes: usize) -> io::Result<()> {
    let piece = vec![b'x'; bytes.min(128 << 10)];
    let mut left = bytes;
    while left > 0 {
        left -= stream.write(&piece[..left.min(piece.len())])?;
    }
    Ok(())
}

fn join<T>(handle: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    handle
        .join()
        .map_err(|_| io::Error::other("a thread panicked"))?
}

fn perform(work: Work, port: u16, target: &TcpListener) -> io::Result<()> {
    match work {
        Work::Relay { connections, mib } => {
            let bytes = mib * MIB / connections;
            let mut threads = Vec::new();
            for _ in 0..connections {
                let client = connect(port)?;
                let server = limit(target.accept()?.0)?;
                threads.push(thread::spawn(move || {
                    send(&client, bytes)?;
                    client.shutdown(Shutdown::Write)?;
                    // The relay has closed this direction when it has seen both ends.
                    discard(&client, usize::MAX)
                }));
                threads.push(thread::spawn(move || discard(&server, usize::MAX)));
            }
            let received: io::Result<Vec<usize>> = threads.into_iter().map(join).collect();
            if received?.into_iter().sum::<usize>() != bytes * connections {
                return Err(io::Error::other("bytes were lost"));
            }
        }
        Work::PingPong { messages } => {
            let client = connect(port)?;
            let server = limit(target.accept()?.0)?;
            server.set_nodelay(true)?;
            let answering = thread::spawn(move || {
                let mut message = [0; 64];
                while (&server).read_exact(&mut message).is_ok() {
                    (&server).write_all(&message)?;
                }
                Ok(())
            });
            let mut message = [0; 64];
            for _ in 0..messages {
                (&client).write_all(&message)?;
                (&client).read_exact(&mut message)?;
            }
            drop(client);
            join(answering)?;
        }
        Work::Upload { bytes, requests } => {
            let client = connect(port)?;
            let fields = format!("host: x\r\ncontent-length: {bytes}\r\n\r\n");
            let first = format!("POST / HTTP/1.1\r\n{}{fields}", padding());
            let head = format!("POST / HTTP/1.1\r\n{fields}");
            for n in 0..requests {
                let head = if n == 0 { &first } else { &head };
                (&client).write_all(head.as_bytes())?;
                send(&client, bytes)?;
                read_head(&client)?;
            }
        }
        Work::Download { bytes, requests } => {
            let client = connect(port)?;
            let head = format!("GET /{bytes} HTTP/1.1\r\nhost: x\r\n\r\n");
            for _ in 0..requests {
                (&client).write_all(head.as_bytes())?;
                let early = read_head(&client)?;
                if discard(&client, bytes - early)? != bytes - early {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
    Ok(())
}

/// Returns a header field of another length each time, so that the body of an upload begins at
/// another offset in the pages of the kernel.
///
/// Copying to an address that is 1 to 31 bytes after the source, modulo 4096, takes six times as
/// long on some processors (observed on AMD EPYC, whose kernel copies by `rep movsb`). The buffer
/// of a peer is at the same offset in every run. Without this, that alone could decide between
/// peers.
fn padding() -> String {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    // The offsets of successive calls are far apart.
    let len = CALLS.fetch_add(1, Ordering::Relaxed) * 1531 % 4096;
    format!("padding: {}\r\n", "x".repeat(len))
}

/// Reads the head of a response, and returns the number of bytes of the body that came with it.
fn read_head(mut stream: &TcpStream) -> io::Result<usize> {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => head.extend_from_slice(&buffer[..n]),
        }
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(head.len() - at - 4);
        }
    }
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(arguments: &[&str]) -> io::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let port = line.trim().parse().map_err(io::Error::other)?;
        Ok(Server { child, port })
    }

    fn relay(peer: &str, target: u16) -> io::Result<Server> {
        if peer != "haproxy" {
            return Server::start(&["relay", peer, &target.to_string()]);
        }
        // haproxy binds the port itself.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let text = format!(
            "global\n nbthread 1\ndefaults\n mode tcp\n option splice-auto\n timeout connect 30s\n \
             timeout client 30s\n timeout server 30s\nlisten relay\n bind 127.0.0.1:{port}\n \
             server target 127.0.0.1:{target}\n"
        );
        let file = results::folder().join("haproxy.cfg");
        fs::write(&file, text)?;
        let child = haproxy(&file)?;
        let server = Server { child, port };
        // A connection that succeeds would reach the target.
        while !is_listening(port)? {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

fn haproxy(config: &Path) -> io::Result<Child> {
    let core = sys::SERVER_CORE.to_string();
    let mut command = Command::new("taskset");
    command
        .args(["-c", &core, "haproxy", "-db", "-f"])
        .arg(config);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Returns true if a socket of this machine listens on `port`.
fn is_listening(port: u16) -> io::Result<bool> {
    let wanted = format!(":{port:04X} 00000000:0000 0A");
    Ok(fs::read_to_string("/proc/net/tcp")?.contains(&wanted))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Relays connections to a port: the command `bench relay BY PORT`.
pub(crate) fn serve_relay(by: &str, target: &str) {
    let listener = listen();
    let target = ("127.0.0.1", target.parse::<u16>().unwrap());
    match by {
        "bare" => {
            listener.set_nonblocking(false).unwrap();
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(target).unwrap();
                server.set_nodelay(true).unwrap();
                thread::spawn(move || splice_both_ways(&client, &server));
            }
        }
        "tokio" => current_thread().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                    server.set_nodelay(true).unwrap();
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        }),
        _ => {
            let is_copied = by == "runtime-copy";
            runtime::block_on(async {
                let listener = runtime::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (mut client, _) = listener.accept().await.unwrap();
                    runtime::spawn(async move {
                        let mut server = runtime::net::TcpStream::connect(target).await.unwrap();
                        server.set_nodelay(true).unwrap();
                        if is_copied {
                            runtime::io::copy_bidirectional(&mut client, &mut server).await
                        } else {
                            runtime::net::relay(&mut client, &mut server).await
                        }
                    });
                }
            });
        }
    }
}

fn current_thread() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Opens a listener, prints its port, and moves to the core of the servers.
fn listen() -> TcpListener {
    sys::die_with_parent();
    sys::pin(sys::SERVER_CORE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    // Accepted sockets inherit the option.
    sys::no_delay(listener.as_raw_fd());
    println!("{}", listener.local_addr().unwrap().port());
    listener
}

/// The lower bound: two threads that only splice, each through a pipe of its own.
fn splice_both_ways(client: &TcpStream, server: &TcpStream) {
    thread::scope(|scope| {
        scope.spawn(|| splice_one_way(client, server));
        splice_one_way(server, client).unwrap();
    });
}

fn splice_one_way(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    // SAFETY: takes no pointers.
    sys::cvt(unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) })?;
    loop {
        let mut held = splice(from.as_fd(), writer.as_fd(), MIB)?;
        if held == 0 {
            return to.shutdown(Shutdown::Write);
        }
        while held > 0 {
            held -= splice(reader.as_fd(), to.as_fd(), held)?;
        }
    }
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    let (from, to, null) = (from.as_raw_fd(), to.as_raw_fd(), ptr::null_mut());
    // SAFETY: null pointers mean that there are no offsets.
    let moved = unsafe { libc::splice(from, null, to, null, len, libc::SPLICE_F_MOVE) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Serves bodies by HTTP: the command `bench bodies BY 0`.
pub(crate) fn serve_bodies(by: &str) {
    let listener = listen();
    if by == "tokio" {
        current_thread().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve_http(TokioIo::new(stream)));
            }
        });
    }
    runtime::block_on(async {
        let listener = runtime::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            runtime::spawn(serve_http(runtime::compat::hyper::Io::new(stream)));
        }
    });
}

async fn serve_http<T>(stream: T)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let body = Mutex::new(Bytes::new());
    let service = service_fn(|request: Request<Incoming>| {
        let len = request.uri().path()[1..].parse().unwrap_or(0);
        let mut body = body.lock().unwrap();
        if body.len() != len {
            *body = Bytes::from(vec![0; len]);
        }
        answer(request, body.clone())
    });
    // It returns an error when the client disconnects.
    let _ = http1::Builder::new()
        .serve_connection(stream, service)
        .await;
}

/// Answers an upload after its end, and a download by `body`.
async fn answer(
    request: Request<Incoming>,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::POST {
        let mut uploaded = request.into_body();
        while uploaded.frame().await.is_some_and(|frame| frame.is_ok()) {}
    }
    Ok(Response::new(Full::new(body)))
}
