//! An echo server inside a foreign event loop, here one around poll(2), as a GUI toolkit or a C
//! library has. Only the loop waits; the descriptor of the runtime is one of those it polls.
//!
//! Run with:
//!
//!     cargo run --example foreign_loop
//!
//! and connect to it (`nc 127.0.0.1 8080`). The loop itself reads standard input: for each line it
//! prints the number of clients, and `quit` ends the program. macOS cannot poll a kqueue; there
//! such a loop has to use select(2) or a kqueue of its own.

mod common;

use std::cell::Cell;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use common::{Arguments, print_line};
use runtime::net::TcpListener;
use runtime::time::Instant;
use runtime::{Runtime, task};
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
    // Tasks run on this thread, inside `turn`, so they can share state with the loop.
    let clients = Rc::new(Cell::new(0));
    runtime.spawn(serve(listener, clients.clone()));

    let mut stdin = Some(io::stdin());
    loop {
        // Read last: earlier steps of the loop may have changed the deadline.
        let limit = limit_of(runtime.next_deadline());
        let typed = wait(&runtime, stdin.as_ref(), limit.as_ref())?;
        // A limit of zero does not block: only the loop waits.
        runtime.turn(Some(Duration::ZERO))?;
        if !typed {
            continue;
        }
        let mut text = [0; 256];
        let read = io::stdin().read(&mut text)?;
        if read == 0 {
            stdin = None; // end of input; the clients are still served
        }
        for line in String::from_utf8_lossy(&text[..read]).lines() {
            match line.trim() {
                "quit" => return Ok(()),
                _ => print_line(format_args!("{} clients", clients.get())),
            }
        }
    }
}

/// Returns the time until the deadline in the form that poll(2) takes.
fn limit_of(deadline: Option<Instant>) -> Option<Timespec> {
    let limit = deadline?.saturating_duration_since(Instant::now());
    Timespec::try_from(limit).ok()
}

/// Waits for the runtime, standard input or the deadline. Returns true if standard input is
/// readable.
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
            "poll(2) cannot watch a kqueue on this system",
        ));
    }
    Ok(watched
        .get(1)
        .is_some_and(|stdin| !stdin.revents().is_empty()))
}

async fn serve(listener: TcpListener, clients: Rc<Cell<usize>>) {
    let clients = &*clients;
    // The connections are children of this task, so they borrow the count.
    task::scope(async |s| {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => return common::print_error(format_args!("{e}")),
            };
            clients.set(clients.get() + 1);
            s.spawn(async move {
                let (reader, writer) = stream.split();
                if let Err(e) = runtime::io::copy(reader, writer).await {
                    common::print_error(format_args!("{e}"));
                }
                clients.set(clients.get() - 1);
            });
        }
    })
    .await;
}
