//! A TCP server that sends back the bytes it receives. Each connection is a task; all tasks run on
//! one thread. It prints the address it listens on, and errors of connections.
//!
//! Run with:
//!
//!     cargo run --example echo
//!
//! and connect from one or more terminals:
//!
//!     nc 127.0.0.1 8080

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io;
use runtime::net::TcpStream;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("echo [--listen ADDR]");
    let address = arguments.address("--listen");
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    common::report("echo", serve(&address).await)
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = common::listen(address).await?;
    loop {
        // When the process is out of descriptors, `accept` waits until one is free.
        let (stream, peer) = listener.accept().await?;
        // The task runs on this thread, so its future need not be `Send`. Dropping the join handle
        // detaches the task, which therefore reports its own error.
        runtime::spawn(async move {
            if let Err(e) = echo(&stream).await {
                common::print_error(format_args!("{peer}: {e}"));
            }
        });
    }
}

/// Sends back everything the client sends, until the client closes its side.
async fn echo(stream: &TcpStream) -> io::Result<()> {
    let (reader, writer) = stream.split();
    // `copy` holds no buffer while it waits: an idle connection costs a small task and a
    // descriptor.
    io::copy(reader, writer).await?;
    Ok(())
}
