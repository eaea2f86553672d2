//! Holds ten thousand connections on one thread and prints what they cost.
//!
//! This process is the server, an echo server like the example `echo`. It starts a second process
//! for the clients, so that the memory it reports is that of the server alone. It prints the memory
//! for each connection, the latency of the echo, and the number of system calls.
//!
//! Run with:
//!
//!     cargo run --release --example ten_thousand
//!
//! `--connections N` sets another number, such as 100,000: the clients then have several addresses
//! of 127.0.0.0/8, each of which has its own ports (Linux; on macOS and the BSDs these have to be
//! added to the loopback interface first). If the system allows the process fewer descriptors
//! (`ulimit -Hn`), it opens as many connections as possible and prints a warning.

mod common;
mod ten_thousand {
    pub(crate) mod client;
    pub(crate) mod progress;
}

use std::fs;
use std::process::ExitCode;

use common::Arguments;
use futures_lite::StreamExt;
use runtime::io::{self, AsyncBufReadExt, AsyncWriteExt, BufReader};
use runtime::net::TcpListener;
use runtime::process::{Child, ChildStdout, Command, Stdio};
use runtime::{Runtime, Stats};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use ten_thousand::client;
use ten_thousand::progress::Progress;

/// The maximum number of descriptors of a process other than connections.
const OTHER_DESCRIPTORS: usize = 32;

fn main() -> ExitCode {
    let mut arguments = Arguments::new("ten_thousand [--listen ADDR] [--connections N]");
    let address = arguments.address("--listen");
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let wanted: usize = arguments.option("--connections").unwrap_or(10_000);
    // Internal: starts the process of the clients.
    let server: Option<String> = arguments.option("--clients-of");
    if wanted == 0 {
        arguments.usage_error("--connections 0: must be at least 1");
    }
    arguments.finish();

    let result = raise_limit(wanted).and_then(|allowed| match server {
        Some(server) => runtime::block_on(client::run(&server, allowed)),
        None => run(&address, wanted, allowed),
    });
    common::report("ten_thousand", result)
}

/// Raises the descriptor limit as far as `connections` require and the system allows. Returns the
/// number of connections that fit.
fn raise_limit(connections: usize) -> io::Result<usize> {
    let needed = connections.saturating_add(OTHER_DESCRIPTORS) as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(connections);
    }
    let allowed = maximum.map_or(needed, |maximum| maximum.min(needed));
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(allowed),
            maximum,
        },
    )?;
    Ok((allowed as usize).saturating_sub(OTHER_DESCRIPTORS).max(1))
}

fn run(address: &str, wanted: usize, connections: usize) -> io::Result<()> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let listener = common::listen(address).await?;
        if connections < wanted {
            common::print_error(format_args!(
                "{wanted} connections need {} descriptors (`ulimit -Hn`); opening {connections}",
                wanted + OTHER_DESCRIPTORS
            ));
        }
        hold(&runtime, listener, connections).await
    })
}

async fn hold(runtime: &Runtime, listener: TcpListener, connections: usize) -> io::Result<()> {
    let server = listener.local_addr()?.to_string();
    let mut clients = Clients::start(&server, connections)?;
    let memory_before = resident_bytes();

    let mut progress = Progress::new("connecting", connections);
    for done in 1..=connections {
        let (stream, _) = runtime::select! {
            accepted = listener.accept() => accepted?,
            // The clients report nothing yet, unless they failed.
            line = clients.reports.next() => return Err(failed(line)),
        };
        runtime::spawn(async move {
            let (reader, writer) = stream.split();
            // An error means that the client has disconnected; the client process reports it.
            let _ = io::copy(reader, writer).await;
        });
        progress.show(done);
    }
    progress.finish();
    // After one batch every task has run and waits for its first read.
    runtime::task::yield_now().await;
    let memory_after = resident_bytes();

    common::print_line(format_args!("{connections} connections, {}", threads()));
    if let (Some(before), Some(after)) = (memory_before, memory_after) {
        common::print_line(format_args!(
            "memory: {} bytes a connection ({} KiB before, {} KiB with all of them)",
            after.saturating_sub(before) / connections as u64,
            before / 1024,
            after / 1024
        ));
    }
    let before = runtime.stats();
    clients.drive().await?;
    let after = runtime.stats();
    if let (Some(idle), Some(busy)) = (memory_after, resident_bytes()) {
        let grown = busy.saturating_sub(idle) / 1024;
        common::print_line(format_args!(
            "memory: {grown} KiB more after the traffic than before"
        ));
    }
    print_calls(&before, &after, client::pings(connections));
    clients.end().await
}

/// Prints the system calls of the reactor. The echo adds one `recv` and one `send` for each ping.
fn print_calls(before: &Stats, after: &Stats, pings: usize) {
    let waits = after.waits - before.waits;
    common::print_line(format_args!(
        "system calls of the reactor: {} to register descriptors and {} waits before the traffic; \
         {} and {waits} during it, for {pings} pings ({:.3} for each)",
        before.registrations,
        before.waits,
        after.registrations - before.registrations,
        waits as f64 / pings as f64
    ));
}

/// The process of the clients.
struct Clients {
    child: Child,
    /// The lines it prints; see `client::run`.
    reports: futures_lite::io::Lines<BufReader<ChildStdout>>,
}

impl Clients {
    fn start(server: &str, connections: usize) -> io::Result<Clients> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--clients-of", server])
            .args(["--connections", &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true) // when the server returns an error
            .spawn()?;
        let Some(stdout) = child.stdout.take() else {
            unreachable!("the pipe was requested");
        };
        Ok(Clients {
            child,
            reports: BufReader::new(stdout).lines(),
        })
    }

    /// Starts the traffic and prints what the clients report until it ends.
    async fn drive(&mut self) -> io::Result<()> {
        if let Some(stdin) = &mut self.child.stdin {
            stdin.write_all(b"go\n").await?;
        }
        let mut progress = Progress::new("sending", client::ROUNDS);
        while let Some(line) = self.reports.next().await {
            let line = line?;
            match line.strip_prefix("round ").map(str::parse) {
                Some(Ok(round)) => progress.show(round),
                _ if line == "done" => return Ok(()),
                _ => {
                    progress.finish();
                    common::print_line(line);
                }
            }
        }
        Err(failed(None))
    }

    /// Closes the standard input of the clients, which makes them exit, and waits for that.
    async fn end(mut self) -> io::Result<()> {
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "the client process ended with {status}"
            )))
        }
    }
}

fn failed(line: Option<io::Result<String>>) -> io::Error {
    match line {
        Some(Ok(line)) => {
            io::Error::other(format!("unexpected line from the client process: {line:?}"))
        }
        Some(Err(e)) => e,
        None => io::Error::other("the client process failed"),
    }
}

/// Returns the resident memory of this process, where /proc exists.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Describes the number of threads of this process.
fn threads() -> String {
    match fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => "1 thread".to_owned(),
        Ok(count) => format!("{count} threads"),
        Err(_) => "thread count unknown".to_owned(),
    }
}
