//! Helpers that run examples as child processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};

/// The time after which a missing response fails the test.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Returns the command for an example.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap(); // target/debug/deps/examples-0123
    let target = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = target.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo test` or `cargo build --examples`",
        path.display()
    );
    Command::new(path)
}

/// Runs an example until it exits.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Output {
    example(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs an example whose standard output is closed at the other end.
pub(crate) fn run_unread(name: &str, arguments: &[&str]) -> Output {
    let (reader, stdout) = UnixStream::pair().unwrap();
    drop(reader);
    example(name)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(OwnedFd::from(stdout))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A running server, killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The lines it prints after the first. A thread drains the pipe, so that the server never
    /// blocks on it.
    lines: Receiver<String>,
}

impl Server {
    /// Starts an example on a port that the system chooses and waits until it listens.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Server {
        Server::start_command(&mut example(name), arguments, Stdio::null())
    }

    /// Like `start`, with a limit for descriptors.
    pub(crate) fn start_with_descriptors(limit: u32, name: &str, arguments: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let script = format!(r#"ulimit -n {limit} && exec "$0" "$@""#);
        shell.args(["-c", &script]).arg(example(name).get_program());
        Server::start_command(&mut shell, arguments, Stdio::null())
    }

    /// Like `start`, under strace, which lets system calls fail as `faults` says (strace(1),
    /// `inject=`, and further `options`), and with a standard error that nothing reads. Returns
    /// `None`, and prints why, if strace is missing or may not trace.
    pub(crate) fn start_with_faults(
        faults: &[&str],
        options: &[&str],
        name: &str,
        arguments: &[&str],
    ) -> Option<Server> {
        let works = Command::new("strace").arg("true").output();
        if !works.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: strace, which injects errors, cannot be used here");
            return None;
        }
        let (reader, stderr) = UnixStream::pair().unwrap();
        drop(reader);
        let mut strace = Command::new("strace");
        // The tracer is a grandchild, so that the child is the server itself.
        strace.args(["-D", "-f", "-o", "/dev/null"]);
        for fault in faults {
            strace.args(["-e", fault]);
        }
        strace
            .args(options)
            .arg(example(name).get_program())
            .stderr(OwnedFd::from(stderr));
        Some(Server::start_command(&mut strace, arguments, Stdio::null()))
    }

    /// Like `start`, with a pipe to its standard input.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn start_with_stdin(name: &str) -> (Server, std::process::ChildStdin) {
        let mut server = Server::start_command(&mut example(name), &[], Stdio::piped());
        let stdin = server.child.stdin.take().unwrap();
        (server, stdin)
    }

    fn start_command(command: &mut Command, arguments: &[&str], stdin: Stdio) -> Server {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut server = Server {
            child,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            lines,
        };
        let first = server.line();
        let address = first.strip_prefix("listening on ");
        server.address = address.expect(&first).parse().unwrap();
        server
    }

    /// Waits for the next line.
    pub(crate) fn line(&self) -> String {
        self.lines
            .recv_timeout(LIMIT)
            .expect("the server prints a line")
    }

    /// Waits for the next line that contains `part`.
    pub(crate) fn line_with(&self, part: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends SIGINT, like Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn threads(&self) -> usize {
        threads_of(self.child.id())
    }

    /// Returns true if a descriptor of the server refers to the file at `path`.
    #[cfg(target_os = "linux")]
    pub(crate) fn has_open(&self, path: &std::path::Path) -> bool {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        descriptors
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .any(|target| target == path)
    }

    /// Returns the CPU time used so far, in ticks of 10 ms.
    #[cfg(target_os = "linux")]
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap(); // from field 3, see proc_pid_stat(5)
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.map(|field| field.parse::<u64>().unwrap()).sum()
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn threads_of(process: u32) -> usize {
    let path = format!("/proc/{process}/task");
    std::fs::read_dir(path).unwrap().count()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response of an HTTP server.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Sends a request and reads until the server closes the connection.
pub(crate) fn request(server: &Server, method: &str, path: &str, headers: &[&str]) -> HttpResponse {
    let mut stream = server.connect();
    let close = [headers, &["Connection: close"]].concat();
    send(&mut stream, method, path, &close);
    let mut response = read_head(&mut stream);
    stream.read_to_end(&mut response.body).unwrap();
    response
}

pub(crate) fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &[&str]) {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    stream.write_all((text + "\r\n").as_bytes()).unwrap();
}

/// Reads the head of a response and nothing of its body.
pub(crate) fn read_head(stream: &mut TcpStream) -> HttpResponse {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse();
    HttpResponse {
        status: status.unwrap(),
        head,
        body: Vec::new(),
    }
}
