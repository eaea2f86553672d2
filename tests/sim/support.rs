//! A network and a server that several tests use.

use std::time::Duration;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::sim::{Builder, Latency, Result, World};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Returns a world whose packets take ten milliseconds.
pub(crate) fn world(seed: u64) -> World {
    Builder::new()
        .seed(seed)
        .latency(Latency::Fixed(10 * MS))
        .build()
}

/// Sends back what each connection to port 80 brings.
pub(crate) async fn echo() -> Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        drop(runtime::spawn(async move {
            let (reader, writer) = stream.split();
            let _ = runtime::io::copy(reader, writer).await;
        }));
    }
}

/// Sends a byte and waits for its echo.
pub(crate) async fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await
}
