//! An echo server on several threads, each with a runtime of its own. It greets every client with
//! the number of the core that serves it.
//!
//! Run with:
//!
//!     cargo run --example per_core
//!
//! and talk to it, several times (`nc 127.0.0.1 8080`); Ctrl-C ends it. All cores listen on one port, and
//! the system deals out the clients. With `--deal` only the first core listens, and hands on the
//! connections in turn: for macOS, NetBSD and OpenBSD, where one listener gets all. `--cores N` is
//! how many there are (one for each processor), `--pin 1` binds each to a processor.

mod common;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;

use common::{Arguments, say};
use runtime::io::{self, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::signal::ctrl_c;
use runtime::{PerCore, Runtime};

fn main() -> ExitCode {
    let mut arguments =
        Arguments::new("per_core [--listen ADDR] [--cores N] [--pin 0|1] [--deal 0|1]");
    let address = arguments.address("--listen");
    let cores: Option<usize> = arguments.option("--cores");
    let [pin, deal] = ["--pin", "--deal"].map(|name| match arguments.option::<u8>(name) {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => arguments.wrong(format_args!("{name} {other}: 0 or 1")),
    });
    if cores == Some(0) {
        arguments.wrong("--cores 0: one at least");
    }
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    common::report("per_core", run(&address, cores, pin, deal))
}

fn run(address: &str, cores: Option<usize>, pin: bool, deal: bool) -> io::Result<()> {
    let cores = match cores {
        Some(cores) => cores,
        None => std::thread::available_parallelism()?.get(),
    };
    // Made here, so that there is one port if the system chooses it. It has never waited, so it
    // belongs to no thread yet.
    let first = runtime::block_on(TcpListener::bind_shared(address))?;
    let address = first.local_addr()?;
    // From now on, also for a core that comes late.
    let ends = Mutex::new((0..cores).map(|_| ctrl_c()).collect::<Vec<_>>());
    say(format_args!("listening on {address}"));
    let first = Mutex::new(Some(first));
    let served = Runtime::builder()
        .pin_cores(pin)
        .run_per_core(cores, async |core| {
            let ours = match core.index() {
                0 => first.lock().ok().and_then(|mut first| first.take()),
                _ => None,
            };
            let listener = match ours {
                Some(first) => Some(first),
                None if deal => None,
                None => Some(TcpListener::bind_shared(address).await?),
            };
            let Some(end) = ends.lock().ok().and_then(|mut ends| ends.pop()) else {
                unreachable!("there is one for each");
            };
            // What the tasks of one core share needs no lock.
            let greeted = Rc::new(Cell::new(0));
            runtime::select! {
                served = serve(listener, &core, deal, &greeted) => served?,
                asked = end => asked?,
            }
            Ok(greeted.get())
        })?;
    for (core, greeted) in served.iter().enumerate() {
        say(format_args!("core {core} greeted {greeted} clients"));
    }
    Ok(())
}

async fn serve(
    listener: Option<TcpListener>,
    core: &PerCore,
    deal: bool,
    greeted: &Cell<u64>,
) -> io::Result<()> {
    let Some(listener) = listener else {
        return std::future::pending().await; // its connections come from core 0
    };
    for turn in 0.. {
        let (stream, peer) = listener.accept().await?;
        greeted.set(greeted.get() + 1);
        let to = if deal {
            turn % core.handles().len()
        } else {
            core.index()
        };
        let echo = async move {
            if let Err(e) = echo(stream, to).await {
                eprintln!("{peer}: {e}");
            }
        };
        // It has not waited yet, so it belongs to the core that it comes to.
        drop(core.handles()[to].spawn(echo));
    }
    Ok(())
}

async fn echo(mut stream: TcpStream, core: usize) -> io::Result<()> {
    stream
        .write_all(format!("core {core}\n").as_bytes())
        .await?;
    let (reader, writer) = stream.split();
    io::copy(reader, writer).await?;
    Ok(())
}
