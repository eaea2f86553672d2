//! Servers under load: each is a process on one core, the generator runs on the other.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::callgrind;
use crate::load::{self, Load};
use crate::peers::{self, Peer, Service};
use crate::results::{self, Figures};
use crate::sys;

/// A workload of a server.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    service: Service,
    message: usize,
    connections: usize,
    busy: usize,
    requests: usize,
    /// True if the cost of opening the connections is measured too.
    opening: bool,
}

const fn echo(name: &'static str, message: usize, connections: usize, requests: usize) -> Shape {
    Shape {
        name,
        service: Service::Echo,
        message,
        connections,
        busy: connections,
        requests,
        opening: false,
    }
}

pub(crate) const SHAPES: [Shape; 13] = [
    echo("64 B x 1", 64, 1, 20_000),
    echo("64 B x 64", 64, 64, 60_000),
    echo("64 B x 512", 64, 512, 60_000),
    echo("4 KiB x 1", 4096, 1, 15_000),
    echo("4 KiB x 64", 4096, 64, 40_000),
    echo("4 KiB x 512", 4096, 512, 40_000),
    echo("64 KiB x 1", 65536, 1, 3_000),
    echo("64 KiB x 64", 65536, 64, 5_000),
    echo("64 KiB x 512", 65536, 512, 10_000),
    Shape {
        name: "100 busy of 9,500",
        service: Service::Echo,
        message: 64,
        connections: 9_500,
        busy: 100,
        requests: 60_000,
        opening: true,
    },
    Shape {
        name: "churn",
        service: Service::Once,
        message: 64,
        connections: 32,
        busy: 32,
        requests: 15_000,
        opening: false,
    },
    Shape {
        name: "HTTP hello x 64",
        service: Service::Hello,
        message: 0,
        connections: 64,
        busy: 64,
        requests: 40_000,
        opening: false,
    },
    Shape {
        name: "HTTP header timer x 64",
        service: Service::HelloTimed,
        message: 0,
        connections: 64,
        busy: 64,
        requests: 40_000,
        opening: false,
    },
];

/// One connection, whose latency is that of a wake-up.
pub(crate) const LATENCY: Shape = echo("64 B x 1", 64, 1, 20_000);

/// Returns workloads of more and more connections, 100 of which are busy, up to `limit`.
pub(crate) fn growth(limit: usize) -> Vec<Shape> {
    const STEPS: [(usize, &str); 4] = [
        (100, "100"),
        (1_000, "1,000"),
        (10_000, "10,000"),
        (100_000, "100,000"),
    ];
    let mut shapes: Vec<Shape> = STEPS
        .into_iter()
        .filter(|(connections, _)| *connections <= limit)
        .map(|(connections, name)| Shape {
            busy: 100,
            opening: true,
            ..echo(name, 64, connections, 40_000)
        })
        .collect();
    if shapes.len() < STEPS.len() && limit > 100 {
        // One name in the life of the process.
        let name = String::leak(results::number(limit as f64));
        shapes.push(Shape {
            busy: 100,
            opening: true,
            ..echo(name, 64, limit, 40_000)
        });
    }
    shapes
}

const LIMIT: Duration = Duration::from_secs(60);
const HTTP_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Returns true if the peer supports the workload.
pub(crate) fn has(peer: &str, shape: &Shape) -> bool {
    match shape.service {
        Service::Echo | Service::Once => true,
        Service::Hello => peer != "bare",
        Service::HelloTimed => peers::HAVE_HEADER_TIMER.contains(&peer),
    }
}

/// Runs a server: the command `bench serve PEER SERVICE`.
pub(crate) fn serve(peer: &str, service: &str) {
    sys::die_with_parent();
    sys::pin(sys::SERVER_CORE);
    sys::raise_descriptor_limit();
    let service = match service {
        "echo" => Service::Echo,
        "once" => Service::Once,
        "hello-timed" => Service::HelloTimed,
        _ => Service::Hello,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    // Accepted sockets inherit the option.
    sys::no_delay(listener.as_raw_fd());
    // SAFETY: takes no pointers. The backlog is longer than that of std.
    unsafe { libc::listen(listener.as_raw_fd(), 4096) };
    println!("{}", listener.local_addr().unwrap().port());
    match peer {
        "runtime" => peers::ours::Ours::serve(listener, service),
        "runtime-busy" => peers::ours::serve_busy(listener, service),
        "std" => serve_blocking(&listener),
        "bare" => peers::bare::serve(listener, service),
        "tokio" => peers::tokio::Tokio::serve(listener, service),
        "tokio-local" => peers::tokio_local::TokioLocal::serve(listener, service),
        "smol" => peers::smol::Smol::serve(listener, service),
        "monoio" => peers::monoio::Epoll::serve(listener, service),
        "monoio-uring" => peers::monoio::Uring::serve(listener, service),
        "compio" => peers::compio::Polling::serve(listener, service),
        "compio-uring" => peers::compio::Uring::serve(listener, service),
        _ => eprintln!("unknown peer: {peer}"),
    }
}

/// Echoes with blocking calls, in a thread for each connection.
fn serve_blocking(listener: &TcpListener) {
    listener.set_nonblocking(false).unwrap();
    for stream in listener.incoming() {
        std::thread::spawn(move || {
            let mut stream = stream.unwrap();
            let mut buffer = [0; peers::BUFFER];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..read]).is_err() {
                    return;
                }
            }
        });
    }
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(wrapper: &[&str], peer: &str, shape: &Shape) -> io::Result<Server> {
        let service = match shape.service {
            Service::Echo => "echo",
            Service::Once => "once",
            Service::Hello => "hello",
            Service::HelloTimed => "hello-timed",
        };
        let me = std::env::current_exe()?;
        let mut command = match wrapper {
            [] => Command::new(me),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(me);
                command
            }
        };
        command.args(["serve", peer, service]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if !wrapper.is_empty() {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let port = line.trim().parse().map_err(io::Error::other)?;
        Ok(Server { child, port })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits for the exit.
    fn stop(mut self) -> io::Result<()> {
        sys::signal(self.pid(), libc::SIGTERM);
        self.child.wait().map(drop)
    }

    fn load(&self, shape: &Shape) -> io::Result<Load> {
        match shape.service {
            Service::Hello | Service::HelloTimed => {
                Load::new(self.port, HTTP_REQUEST.to_vec(), None)
            }
            _ => Load::new(self.port, vec![b'x'; shape.message], Some(shape.message)),
        }
    }

    /// Opens all connections of a workload, and returns what they cost if that is measured.
    fn open(&self, load: &mut Load, shape: &Shape) -> io::Result<Figures> {
        let pid = self.pid();
        let (resident, cpu) = (sys::resident(pid)?, sys::cpu_time_of(pid)?);
        let kernel = sys::kernel_memory()?;
        load.open(shape.connections, LIMIT)?;
        if !shape.opening {
            return Ok(Figures::new());
        }
        let kernel = sys::kernel_memory()?.saturating_sub(kernel);
        let connections = shape.connections as f64;
        let opened = sys::cpu_time_of(pid)? - cpu;
        let grown = sys::resident(pid)?.saturating_sub(resident);
        let cpu = sys::cpu_time_of(pid)?;
        std::thread::sleep(Duration::from_millis(300));
        let idle = sys::cpu_time_of(pid)? - cpu;
        Ok(vec![
            ("accept_us", opened.as_secs_f64() * 1e6 / connections),
            ("rss_per_connection", grown as f64 / connections),
            ("kernel_per_connection", kernel as f64 / connections),
            ("idle_us_per_s", idle.as_secs_f64() * 1e6 / 0.3),
        ])
    }

    /// Makes `visits` connections with one request each.
    fn churn(&self, shape: &Shape, visits: usize) -> io::Result<load::Outcome> {
        load::churn(
            self.port,
            shape.busy,
            &vec![b'x'; shape.message],
            visits,
            LIMIT,
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server under measurement and its figures in this round.
pub(crate) struct Contender {
    pub(crate) peer: &'static str,
    server: Server,
    load: Option<Load>,
    figures: Figures,
    cpu_us: Vec<f64>,
    outcome: load::Outcome,
}

impl Shape {
    /// Returns the number of servers to run side by side: one, if more would exceed the
    /// descriptors.
    pub(crate) fn side_by_side(&self) -> usize {
        if self.connections > 1000 {
            1
        } else {
            usize::MAX
        }
    }

    /// Returns the number of slices of a round. Each is long enough to use all busy connections.
    pub(crate) fn slices(&self) -> usize {
        (self.requests / self.busy / 2).clamp(1, 20)
    }
}

impl Contender {
    /// Starts a server, opens its connections and warms it up.
    pub(crate) fn start(peer: &'static str, shape: &Shape) -> io::Result<Contender> {
        let server = Server::start(&[], peer, shape)?;
        let mut figures = Figures::new();
        let mut load = None;
        if shape.service == Service::Once {
            server.churn(shape, shape.requests / 10)?;
        } else {
            let load = load.insert(server.load(shape)?);
            figures = server.open(load, shape)?;
            load.run(0..shape.busy, shape.requests / 10, LIMIT)?;
        }
        Ok(Contender {
            peer,
            server,
            load,
            figures,
            cpu_us: Vec::new(),
            outcome: load::Outcome::default(),
        })
    }

    /// Makes one slice of the requests.
    pub(crate) fn slice(&mut self, shape: &Shape) -> io::Result<()> {
        let requests = shape.requests / shape.slices();
        let pid = self.server.pid();
        let before = sys::cpu_time_of(pid)?;
        let outcome = match &mut self.load {
            Some(load) => load.run(0..shape.busy, requests, LIMIT)?,
            None => self.server.churn(shape, requests)?,
        };
        let cpu = sys::cpu_time_of(pid)? - before;
        self.cpu_us.push(cpu.as_secs_f64() * 1e6 / requests as f64);
        self.outcome.add(outcome);
        Ok(())
    }

    /// Returns the median CPU time of the slices and the latencies of all requests.
    pub(crate) fn figures(mut self) -> Figures {
        let mut figures = self.figures;
        if let Some(cpu_us) = results::median(self.cpu_us.iter().copied()) {
            figures.push(("cpu_us", cpu_us));
        }
        figures.push(("rate", self.outcome.rate()));
        figures.push(("p50_us", self.outcome.quantile(0.5)));
        figures.push(("p99_us", self.outcome.quantile(0.99)));
        figures.push(("p999_us", self.outcome.quantile(0.999)));
        figures
    }
}

/// The system calls that are counted by name; all others are only in the sum.
const CALLS: [&str; 16] = [
    "accept4",
    "close",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "fcntl",
    "io_uring_enter",
    "ioctl",
    "read",
    "recvfrom",
    "sendto",
    "setsockopt",
    "shutdown",
    "timerfd_settime",
    "write",
];

/// Returns the system calls a request, by name and in total. perf counts them at full speed.
pub(crate) fn system_calls(peer: &str, shape: &Shape) -> io::Result<Vec<(String, f64)>> {
    let server = Server::start(&[], peer, shape)?;
    let requests = shape.requests / 2;
    let mut load = match shape.service {
        Service::Once => None,
        _ => {
            let mut load = server.load(shape)?;
            load.open(shape.connections, LIMIT)?;
            Some(load)
        }
    };
    let mut events = String::from("raw_syscalls:sys_enter");
    for call in CALLS {
        events.push_str(",syscalls:sys_enter_");
        events.push_str(call);
    }
    let file = results::folder().join("perf.txt");
    let mut perf = Command::new("perf")
        .args(["stat", "-x", ";", "-e", &events, "-p"])
        .arg(server.pid().to_string())
        .arg("-o")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(400));
    let outcome = match &mut load {
        Some(load) => load.run(0..shape.busy, requests, LIMIT),
        None => server.churn(shape, requests),
    };
    sys::signal(perf.id(), libc::SIGINT);
    perf.wait()?;
    outcome?;
    let mut counts = Vec::new();
    for line in std::fs::read_to_string(&file)?.lines() {
        let mut fields = line.split(';');
        let (count, name) = (fields.next(), fields.nth(1));
        let (Some(Ok(count)), Some(name)) = (count.map(str::parse::<f64>), name) else {
            continue;
        };
        let name = name.strip_prefix("syscalls:sys_enter_").unwrap_or("all");
        counts.push((name.to_owned(), count / requests as f64));
    }
    if counts.is_empty() {
        return Err(io::Error::other("perf returned no counts"));
    }
    Ok(counts)
}

/// Returns the instructions and atomic read-modify-writes a request in user space, by the
/// difference of two runs under callgrind. The latter need x86-64 and objdump.
pub(crate) fn instructions(peer: &str, shape: &Shape) -> io::Result<Figures> {
    let (few, many) = (2_000, 8_000);
    let requests = (many - few) as f64;
    let less = callgrind(peer, shape, few)?;
    let more = callgrind(peer, shape, many)?;
    let total = |text| {
        callgrind::instructions(text).ok_or_else(|| io::Error::other("callgrind returned no total"))
    };
    let mut figures = vec![("instructions", (total(&more)? - total(&less)?) / requests)];
    let mut locks = callgrind::Locks::default();
    if cfg!(target_arch = "x86_64") {
        match (locks.executed(&less), locks.executed(&more)) {
            (Ok(less), Ok(more)) => figures.push(("atomics", (more - less) / requests)),
            (Err(e), _) | (_, Err(e)) => eprintln!("  counting atomics needs objdump: {e}"),
        }
    }
    Ok(figures)
}

/// Returns the output of callgrind for a server that answered `requests` requests.
fn callgrind(peer: &str, shape: &Shape, requests: usize) -> io::Result<String> {
    let file = results::folder().join(format!("callgrind.{peer}.out"));
    let out = format!("--callgrind-out-file={}", file.display());
    let wrapper = ["valgrind", "--tool=callgrind", "--dump-instr=yes", &out];
    let server = Server::start(&wrapper, peer, shape)?;
    if shape.service == Service::Once {
        server.churn(shape, requests)?;
    } else {
        let mut load = server.load(shape)?;
        load.open(shape.connections, LIMIT)?;
        load.run(0..shape.busy, requests, LIMIT)?;
    }
    server.stop()?;
    std::fs::read_to_string(&file)
}
