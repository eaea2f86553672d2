//! Example programs as child processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};

/// No answer takes as long; so it is a failure, and not one to wait for in vain.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The example of that name, not started yet.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap(); // target/debug/deps/examples-0123
    let target = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = target.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` builds it, and so does `cargo build --examples`",
        path.display()
    );
    Command::new(path)
}

/// Runs an example to its end.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Output {
    example(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs an example to its end, whose standard output nobody reads any more.
pub(crate) fn run_unread(name: &str, arguments: &[&str]) -> Output {
    let (unread, stdout) = UnixStream::pair().unwrap();
    drop(unread);
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

/// A server that runs, and is killed with this.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it prints after the first line. It is taken off the pipe, so that the server never
    /// waits for us.
    lines: Receiver<String>,
}

impl Server {
    /// Starts an example, on a port that the system chooses, and waits until it listens.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Server {
        Server::start_command(&mut example(name), arguments, Stdio::null())
    }

    /// As `start`, with so many descriptors at the most.
    pub(crate) fn start_with_descriptors(limit: u32, name: &str, arguments: &[&str]) -> Server {
        let mut shell = Command::new("sh");
        let script = format!(r#"ulimit -n {limit} && exec "$0" "$@""#);
        shell.args(["-c", &script]).arg(example(name).get_program());
        Server::start_command(&mut shell, arguments, Stdio::null())
    }

    /// As `start`, with somebody who types.
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

    /// The next line it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line from it")
    }

    /// The next line that has `part` in it.
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

    /// As Ctrl-C does.
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

    /// How long it has kept a processor busy, in ticks of a hundredth of a second.
    #[cfg(target_os = "linux")]
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap(); // of proc_pid_stat(5), from the third on
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

/// An answer of an HTTP server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Asks, and reads all that comes until the server closes the connection.
pub(crate) fn ask(server: &Server, method: &str, path: &str, headers: &[&str]) -> Answer {
    let mut stream = server.connect();
    let close = [headers, &["Connection: close"]].concat();
    send(&mut stream, method, path, &close);
    let mut answer = read_head(&mut stream);
    stream.read_to_end(&mut answer.body).unwrap();
    answer
}

pub(crate) fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &[&str]) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes()).unwrap();
}

/// Reads up to the body and no further.
pub(crate) fn read_head(stream: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse();
    Answer {
        status: status.unwrap(),
        head,
        body: Vec::new(),
    }
}
