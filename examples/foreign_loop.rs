//! An echo server that lives in somebody else's loop: one of poll(2), such as a GUI or a C library
//! brings along. It is the loop that waits; the runtime is one of the things it waits for.
//!
//! Run with:
//!
//!     cargo run --example foreign_loop
//!
//! and talk to it (`nc 127.0.0.1 8080`). The loop itself reads standard input: each line is answered
//! with how many clients there are, and `quit` ends the program. macOS cannot `poll` a kqueue;
//! there such a loop needs select(2) or a kqueue of its own.

mod common;

use std::cell::Cell;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Arguments, say};
use runtime::Runtime;
use runtime::net::TcpListener;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn main() -> ExitCode {
    let mut arguments = Arguments::new("foreign_loop [--listen ADDR]");
    let address = arguments.address("--listen");
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    common::report("foreign_loop", run(&address))
}

fn run(address: &str) -> io::Result<()> {
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(common::listen(address))?;
    // Tasks run on this thread, inside `turn`, so they share what they like with the loop.
    let clients = Rc::new(Cell::new(0));
    runtime.spawn(serve(listener, clients.clone()));

    let mut stdin = Some(io::stdin());
    loop {
        // Last of all: whatever the loop did since may have changed the deadline.
        let limit = limit_of(runtime.next_deadline());
        let typed = wait(&runtime, stdin.as_ref(), limit.as_ref())?;
        // It does not block: waiting is the loop's business.
        runtime.turn(Some(Duration::ZERO))?;
        if !typed {
            continue;
        }
        let mut text = [0; 256];
        let read = io::stdin().read(&mut text)?;
        if read == 0 {
            stdin = None; // nobody will type any more, but the clients are still there
        }
        for line in String::from_utf8_lossy(&text[..read]).lines() {
            match line.trim() {
                "quit" => return Ok(()),
                _ => say(format_args!("{} clients", clients.get())),
            }
        }
    }
}

/// What poll(2) takes for a limit.
fn limit_of(deadline: Option<Instant>) -> Option<Timespec> {
    let limit = deadline?.saturating_duration_since(Instant::now());
    Timespec::try_from(limit).ok()
}

/// Waits for the runtime, for the user and for the deadline; says whether the user typed something.
fn wait(
    runtime: &Runtime,
    stdin: Option<&io::Stdin>,
    limit: Option<&Timespec>,
) -> io::Result<bool> {
    let runtime = runtime.pollable_fd()?;
    let mut watched = vec![PollFd::new(&runtime, PollFlags::IN)];
    if let Some(stdin) = stdin {
        watched.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
    }
    match poll(&mut watched, limit) {
        Err(rustix::io::Errno::INTR) => return Ok(false),
        result => result?,
    };
    if watched[0].revents().contains(PollFlags::NVAL) {
        return Err(io::Error::other(
            "poll(2) of this system cannot watch a kqueue",
        ));
    }
    Ok(watched
        .get(1)
        .is_some_and(|stdin| !stdin.revents().is_empty()))
}

async fn serve(listener: TcpListener, clients: Rc<Cell<usize>>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => return eprintln!("{e}"),
        };
        let clients = clients.clone();
        clients.set(clients.get() + 1);
        runtime::spawn(async move {
            let (reader, writer) = stream.split();
            if let Err(e) = runtime::io::copy(reader, writer).await {
                eprintln!("{e}");
            }
            clients.set(clients.get() - 1);
        });
    }
}
