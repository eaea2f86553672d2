//! A TCP server that sends back whatever it gets: a task for each connection, one thread for all.
//!
//! Run with:
//!
//!     cargo run --example echo
//!
//! and talk to it, from as many terminals as you like:
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
        // It does not fail when descriptors run out: it waits until there are some again.
        let (stream, peer) = listener.accept().await?;
        // The task runs on this very thread, so what it holds need not be `Send`. Nobody waits for
        // it, so its handle is dropped and it says itself what went wrong.
        runtime::spawn(async move {
            if let Err(e) = echo(&stream).await {
                eprintln!("{peer}: {e}");
            }
        });
    }
}

/// Until the client has sent its last.
async fn echo(stream: &TcpStream) -> io::Result<()> {
    let (reader, writer) = stream.split();
    // While it waits it holds no buffer: an idle connection is a small task and a descriptor.
    io::copy(reader, writer).await?;
    Ok(())
}
