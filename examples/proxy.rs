//! A TCP proxy that forwards each connection to another address, in both directions.
//!
//! When one side closes its sending direction, the proxy closes that direction on the other side
//! and keeps forwarding the opposite direction. On Linux the kernel moves the bytes of busy
//! connections without copying them. The proxy prints the bytes of each direction at the end of a
//! connection.
//!
//! Run with:
//!
//!     cargo run --example proxy -- --listen 127.0.0.1:8081 --to 127.0.0.1:8080
//!
//! with, for example, `http_server` as the target, and send a request through the proxy:
//!
//!     curl http://127.0.0.1:8081/

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io;
use runtime::net::{self, TcpStream};

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("proxy [--listen ADDR] --to ADDR");
    let address = arguments.address("--listen");
    let Some(target) = arguments.address("--to") else {
        arguments.usage_error("--to ADDR is missing");
    };
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    common::report("proxy", serve(&address, target).await)
}

async fn serve(address: &str, target: String) -> io::Result<()> {
    let listener = common::listen(address).await?;
    loop {
        let (client, peer) = listener.accept().await?;
        let target = target.clone();
        runtime::spawn(async move {
            match forward(client, &target).await {
                Ok((sent, received)) => common::print_line(format_args!(
                    "{peer} <-> {target}: {sent} bytes to target, {received} bytes to client"
                )),
                Err(e) => common::print_error(format_args!("{peer} <-> {target}: {e}")),
            }
        });
    }
}

/// Forwards both directions and returns the number of bytes from the client and from the server.
async fn forward(mut client: TcpStream, target: &str) -> io::Result<(u64, u64)> {
    // If this fails, `client` is dropped, which closes its connection.
    let mut server = TcpStream::connect(target).await?;
    // Forward small segments at once instead of collecting them (Nagle's algorithm).
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    net::relay(&mut client, &mut server).await
}
