//! QUIC with quinn: an echo server, and a client that checks every byte that comes back.
//!
//! Run with:
//!
//!     cargo run --release --example quic -- server --write-roots r.pem
//!     cargo run --release --example quic -- client --roots r.pem 127.0.0.1:4433
//!
//! `--bytes` is the length of each connection's transfer, `--connections` the number of
//! connections, each of which has a socket of its own.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use interop::Arguments;
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::pem::PemObject;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig};
use runtime::compat::quinn::Runtime;
use runtime::signal::ctrl_c;
use runtime::task::JoinSet;
use runtime::time::Instant;

type BoxError = Box<dyn Error + Send + Sync>;

const USAGE: &str = "quic server [--listen ADDR] [--write-roots FILE]
       quic client --roots FILE [--bytes N] [--connections N] ADDR";

#[runtime::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = Arguments::new(USAGE);
    match &*arguments.positional() {
        "server" => {
            let address = arguments.option("--listen");
            let path = arguments.option("--write-roots");
            arguments.finish();
            serve(address.unwrap_or(([127, 0, 0, 1], 4433).into()), path).await
        }
        "client" => {
            let Some(roots) = arguments.option("--roots") else {
                arguments.fail("--roots is missing")
            };
            let bytes = arguments.option("--bytes").unwrap_or(100_000_000);
            let connections = arguments.option("--connections").unwrap_or(1);
            let server = arguments.positional().parse()?;
            arguments.finish();
            transfer(server, roots, bytes, connections).await
        }
        _ => arguments.fail("neither server nor client"),
    }
}

/// Returns an endpoint on the runtime of this thread.
fn endpoint(address: SocketAddr, config: Option<ServerConfig>) -> Result<Endpoint, BoxError> {
    let socket = UdpSocket::bind(address)?;
    let runtime = Arc::new(Runtime::current());
    Ok(Endpoint::new(
        EndpointConfig::default(),
        config,
        socket,
        runtime,
    )?)
}

async fn serve(address: SocketAddr, path: Option<String>) -> Result<(), BoxError> {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    if let Some(path) = path {
        std::fs::write(path, identity.cert.pem())?;
    }
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    let config = ServerConfig::with_single_cert(vec![identity.cert.der().clone()], key)?;
    let endpoint = endpoint(address, Some(config))?;
    // From here on Ctrl-C is noticed, also if it comes as soon as the address is printed.
    let mut interrupt = ctrl_c();
    println!("listening on {}", endpoint.local_addr()?);
    loop {
        let incoming = runtime::select! {
            interrupted = &mut interrupt => {
                interrupted?;
                break;
            }
            Some(incoming) = endpoint.accept() => incoming,
        };
        runtime::spawn(async move {
            let served = async { echo(incoming.await?).await };
            if let Err(e) = served.await {
                eprintln!("connection failed: {e}");
            }
        });
    }
    println!("shutting down");
    endpoint.close(0_u32.into(), b"shutdown");
    endpoint.wait_idle().await;
    Ok(())
}

/// Sends back what each stream of a connection brings.
async fn echo(connection: Connection) -> Result<(), BoxError> {
    loop {
        let (mut sender, mut receiver) = match connection.accept_bi().await {
            Ok(stream) => stream,
            Err(quinn::ConnectionError::ApplicationClosed(_)) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        // The chunks are passed on without a copy.
        while let Some(chunk) = receiver.read_chunk(usize::MAX, true).await? {
            sender.write_chunk(chunk.bytes).await?;
        }
        sender.finish()?;
    }
}

async fn transfer(
    server: SocketAddr,
    roots: String,
    bytes: u64,
    connections: u32,
) -> Result<(), BoxError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(roots)? {
        store.add(certificate?)?;
    }
    let config = ClientConfig::with_root_certificates(Arc::new(store))?;
    let start = Instant::now();
    let mut transfers = JoinSet::new();
    for _ in 0..connections {
        let config = config.clone();
        transfers.spawn(async move {
            let endpoint = endpoint((Ipv4Addr::UNSPECIFIED, 0).into(), None)?;
            let connecting = endpoint.connect_with(config, server, "localhost")?;
            let connection = connecting.await?;
            let compared = compare(&connection, bytes).await?;
            connection.close(0_u32.into(), b"done");
            endpoint.wait_idle().await;
            Ok::<u64, BoxError>(compared)
        });
    }
    let mut compared = 0;
    while let Some(ended) = transfers.join_next().await {
        compared += ended??;
    }
    println!(
        "{compared} bytes in each direction, all as sent, in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Sends `length` bytes, and compares them with those that come back at the same time.
async fn compare(connection: &Connection, length: u64) -> Result<u64, BoxError> {
    let (mut sender, mut receiver) = connection.open_bi().await?;
    let sending = async {
        let mut buffer = vec![0; 64 << 10];
        let mut sent = 0;
        while sent < length {
            let end = buffer
                .len()
                .min((length - sent).try_into().unwrap_or(usize::MAX));
            fill(&mut buffer[..end], sent);
            sender.write_all(&buffer[..end]).await?;
            sent += end as u64;
        }
        Ok::<_, BoxError>(sender.finish()?)
    };
    let receiving = async {
        let (mut buffer, mut expected) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut received = 0;
        while let Some(read) = receiver.read(&mut buffer).await? {
            fill(&mut expected[..read], received);
            if buffer[..read] != expected[..read] {
                return Err(format!("other bytes than sent, after {received}").into());
            }
            received += read as u64;
        }
        Ok::<_, BoxError>(received)
    };
    let ((), received) = runtime::try_join!(sending, receiving)?;
    if received != length {
        return Err(format!("{received} bytes came back of {length}").into());
    }
    Ok(received)
}

/// Writes the bytes of the transfer from `offset` on. No two blocks of 8 bytes are the same.
fn fill(buffer: &mut [u8], offset: u64) {
    for (byte, at) in buffer.iter_mut().zip(offset..) {
        // Odd, so that different blocks remain different.
        let block = (at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *byte = block.to_le_bytes()[(at % 8) as usize];
    }
}
