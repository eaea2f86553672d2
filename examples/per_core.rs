//! An echo server on several threads, each with its own runtime. It greets each client with the
//! number of the core that serves it, and at the end prints the number of clients for each core.
//!
//! Run with:
//!
//!     cargo run --example per_core
//!
//! and connect to it several times (`nc 127.0.0.1 8080`). Ctrl-C ends it. All cores listen on one
//! port, and the system distributes the clients. With `--deal 1` only the first core listens, and
//! distributes the connections round-robin: macOS, NetBSD and OpenBSD give all connections to one
//! listener. `--cores N` sets the number of cores (default: one for each processor); `--pin 1` pins
//! each thread to a processor.

mod common;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;

use common::{Arguments, print_line};
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
        Some(other) => arguments.usage_error(format_args!("{name} {other}: expected 0 or 1")),
    });
    if cores == Some(0) {
        arguments.usage_error("--cores 0: must be at least 1");
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
    // Bound before the cores start, so that all of them use the port if the system chooses it. The
    // listener has never waited, so it is not registered with a reactor yet.
    let first = runtime::block_on(TcpListener::bind_shared(address))?;
    let address = first.local_addr()?;
    // Created before the cores start, so that no core misses a Ctrl-C.
    let ends = Mutex::new((0..cores).map(|_| ctrl_c()).collect::<Vec<_>>());
    print_line(format_args!("listening on {address}"));
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
                unreachable!("`ends` has one entry for each core");
            };
            // Tasks of one core share their state without a lock.
            let greeted = Rc::new(Cell::new(0));
            runtime::select! {
                served = serve(listener, &core, deal, &greeted) => served?,
                asked = end => asked?,
            }
            Ok(greeted.get())
        })?;
    for (core, greeted) in served.iter().enumerate() {
        print_line(format_args!("core {core} greeted {greeted} clients"));
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
        return std::future::pending().await; // core 0 hands connections to this one
    };
    for number in 0.. {
        let (stream, peer) = listener.accept().await?;
        greeted.set(greeted.get() + 1);
        let target = if deal {
            number % core.handles().len()
        } else {
            core.index()
        };
        let echo = async move {
            if let Err(e) = echo(stream, target).await {
                common::print_error(format_args!("{peer}: {e}"));
            }
        };
        // The stream has not waited yet, so it registers with the reactor of the core it is sent
        // to.
        drop(core.handles()[target].spawn(echo));
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
