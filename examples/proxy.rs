//! A TCP proxy: hands every connection on to another address, both ways, until both ends are done.
//!
//! When one side has sent its last, the other side is told so and may go on sending: a connection
//! that is half closed here is half closed there.
//!
//! Run with:
//!
//!     cargo run --example proxy -- --listen 127.0.0.1:8081 --to 127.0.0.1:8080
//!
//! with, say, the example `http_server` at the other end, and ask it through the proxy:
//!
//!     curl http://127.0.0.1:8081/

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io;
use runtime::net::TcpStream;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("proxy [--listen ADDR] --to ADDR");
    let address = arguments.address("--listen");
    let Some(target) = arguments.address("--to") else {
        arguments.wrong("where to? --to ADDR is missing");
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
            match relay(client, &target).await {
                Ok((sent, received)) => common::say(format_args!(
                    "{peer} <-> {target}: {sent} bytes there, {received} bytes back"
                )),
                Err(e) => eprintln!("{peer} <-> {target}: {e}"),
            }
        });
    }
}

/// The numbers of bytes from the client and from the server.
async fn relay(mut client: TcpStream, target: &str) -> io::Result<(u64, u64)> {
    // If this fails the client is dropped, and so learns it.
    let mut server = TcpStream::connect(target).await?;
    // What comes in small pieces goes on in small pieces, and at once.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    io::copy_bidirectional(&mut client, &mut server).await
}
