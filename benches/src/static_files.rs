//! Files served over HTTP/1.1: the example `http_server` and nginx.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::Load;
use crate::results::{Figures, folder};
use crate::sys;

/// A size of the files, and how many are requested.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    file: &'static str,
    bytes: usize,
    connections: usize,
    requests: usize,
}

pub(crate) const SHAPES: [Shape; 3] = [
    Shape {
        name: "static 1 KiB x 64",
        file: "1KiB",
        bytes: 1024,
        connections: 64,
        requests: 40_000,
    },
    Shape {
        name: "static 100 KiB x 16",
        file: "100KiB",
        bytes: 100 * 1024,
        connections: 16,
        requests: 8_000,
    },
    Shape {
        name: "static 10 MiB x 4",
        file: "10MiB",
        bytes: 10 * 1024 * 1024,
        connections: 4,
        requests: 160,
    },
];

/// The peers of these rows.
pub(crate) const PEERS: [&str; 2] = ["runtime", "nginx"];

/// The ports of the peers.
const PORTS: [u16; 2] = [48_211, 48_212];
const LIMIT: Duration = Duration::from_secs(30);

fn root() -> PathBuf {
    folder().join("static")
}

/// Creates the files, and builds the example.
pub(crate) fn prepare() -> io::Result<()> {
    fs::create_dir_all(root())?;
    for shape in &SHAPES {
        fs::write(root().join(shape.file), vec![b'x'; shape.bytes])?;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--release", "--example", "http_server"]);
    let status = build.arg("--manifest-path").arg(manifest).status()?;
    if !status.success() {
        return Err(io::Error::other("the example http_server does not build"));
    }
    Ok(())
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// The process that serves. nginx forks it.
    pid: u32,
    port: u16,
    prefix: &'static str,
}

impl Server {
    pub(crate) fn start(peer: &str) -> io::Result<Server> {
        let (mut command, port, prefix) = match peer {
            "nginx" => (nginx(PORTS[1])?, PORTS[1], "/"),
            _ => (example(PORTS[0])?, PORTS[0], "/files/"),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pid = child.id();
        let mut server = Server {
            child,
            pid,
            port,
            prefix,
        };
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            // nginx listens before it forks its worker.
            let worker = server.worker();
            let is_serving = peer != "nginx" || worker.is_some();
            if is_serving && TcpStream::connect(("127.0.0.1", port)).is_ok() {
                server.pid = worker.unwrap_or(pid);
                break;
            }
            if Instant::now() > until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Returns the first child of the process.
    fn worker(&self) -> Option<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Returns the length of a response, headers included.
    fn probe(&self, request: &[u8]) -> io::Result<usize> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(request)?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|value| value.parse::<usize>().ok());
        let is_ok = text.starts_with("http/1.1 200");
        length
            .filter(|_| is_ok)
            .map(|length| head.len() + length)
            .ok_or_else(|| io::Error::other(text))
    }

    /// Makes the requests of a shape, and returns the CPU time of the server for each.
    pub(crate) fn measure(&self, shape: &Shape) -> io::Result<Figures> {
        let request = format!(
            "GET {}{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            self.prefix, shape.file
        );
        let length = self.probe(request.as_bytes())?;
        let mut load = Load::new(self.port, request.into_bytes(), Some(length))?;
        load.open(shape.connections, LIMIT)?;
        load.run(0..shape.connections, shape.requests / 10, LIMIT)?;
        let before = sys::cpu_time_of(self.pid)?;
        load.run(0..shape.connections, shape.requests, LIMIT)?;
        let cpu = sys::cpu_time_of(self.pid)? - before;
        if cpu.is_zero() {
            return Err(io::Error::other("another process has served the requests"));
        }
        let each = cpu.as_secs_f64() * 1e6 / shape.requests as f64;
        Ok(vec![("static_us", each)])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its worker on SIGTERM; a killed master would leave it behind.
        sys::signal(self.child.id(), libc::SIGTERM);
        let until = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn example(port: u16) -> io::Result<Command> {
    let program = folder().join("../release/examples/http_server");
    let mut command = on_server_core(&program);
    command.arg("--listen").arg(format!("127.0.0.1:{port}"));
    command.arg(root());
    Ok(command)
}

/// Returns a command for nginx as it is set up to be fast: one worker, sendfile, open files kept.
fn nginx(port: u16) -> io::Result<Command> {
    let (config, root) = (folder().join("nginx.conf"), root());
    let (folder, root) = (folder().canonicalize()?, root.canonicalize()?);
    let folder = folder.display();
    let text = format!(
        "daemon off;\nworker_processes 1;\nuser root;\npid {folder}/nginx.pid;\n\
         error_log /dev/null;\nevents {{ worker_connections 1024; }}\nhttp {{\n\
         access_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 1000000000;\n\
         open_file_cache max=100 inactive=60s;\nopen_file_cache_valid 60s;\n\
         client_body_temp_path {folder}/nginx-body;\nproxy_temp_path {folder}/nginx-proxy;\n\
         fastcgi_temp_path {folder}/nginx-fastcgi;\nuwsgi_temp_path {folder}/nginx-uwsgi;\n\
         scgi_temp_path {folder}/nginx-scgi;\n\
         server {{ listen 127.0.0.1:{port}; root {}; }}\n}}\n",
        root.display()
    );
    fs::write(&config, text)?;
    let mut command = on_server_core(Path::new("nginx"));
    command.arg("-c").arg(config.canonicalize()?);
    Ok(command)
}

/// Returns a command that runs a program on the core of the servers.
fn on_server_core(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["-c", &sys::SERVER_CORE.to_string()])
        .arg(program);
    command
}
