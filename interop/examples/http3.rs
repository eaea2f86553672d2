//! HTTP/3 with h3 on quinn: a server, and a client that prints one answer.
//!
//! Run with:
//!
//!     cargo run --example http3 -- server --write-roots r.pem
//!     cargo run --example http3 -- client --roots r.pem https://localhost:4433/

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use h3::error::ConnectionError;
use h3::server::RequestResolver;
use hyper::body::{Buf, Bytes};
use hyper::{Request, Response, Uri};
use interop::Arguments;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::pki_types::pem::PemObject;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::rustls::{self, RootCertStore};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig};
use runtime::compat::quinn::Runtime;
use runtime::net::lookup_host;
use runtime::signal::ctrl_c;

type BoxError = Box<dyn Error + Send + Sync>;

const USAGE: &str = "http3 server [--listen ADDR] [--write-roots FILE]
       http3 client --roots FILE URL";

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
            let uri = arguments.positional().parse()?;
            arguments.finish();
            get(uri, roots).await
        }
        _ => arguments.fail("neither server nor client"),
    }
}

/// Returns an endpoint on the runtime of this thread.
fn endpoint(address: SocketAddr, config: Option<ServerConfig>) -> Result<Endpoint, BoxError> {
    let socket = UdpSocket::bind(address)?;
    let runtime = Arc::new(Runtime::current());
    let endpoint = Endpoint::new(EndpointConfig::default(), config, socket, runtime);
    Ok(endpoint?)
}

async fn serve(address: SocketAddr, path: Option<String>) -> Result<(), BoxError> {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    if let Some(path) = path {
        std::fs::write(path, identity.cert.pem())?;
    }
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config)?));
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
            let served = async { serve_connection(incoming.await?).await };
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

async fn serve_connection(connection: quinn::Connection) -> Result<(), BoxError> {
    let connection = h3_quinn::Connection::new(connection);
    let mut connection = h3::server::Connection::new(connection).await?;
    loop {
        let request = match connection.accept().await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(e) if is_close(&e) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        runtime::spawn(async move {
            if let Err(e) = answer(request).await {
                eprintln!("request failed: {e}");
            }
        });
    }
}

/// Returns true if the client has closed the connection without an error.
fn is_close(error: &ConnectionError) -> bool {
    error.is_h3_no_error()
}

/// Answers with the method, the path and the length of the body.
async fn answer(request: RequestResolver<h3_quinn::Connection, Bytes>) -> Result<(), BoxError> {
    let (request, mut stream) = request.resolve_request().await?;
    let mut length = 0;
    while let Some(data) = stream.recv_data().await? {
        length += data.remaining();
    }
    stream.send_response(Response::new(())).await?;
    let text = format!("{} {} {length}\n", request.method(), request.uri().path());
    stream.send_data(Bytes::from(text)).await?;
    stream.finish().await?;
    Ok(())
}

async fn get(uri: Uri, roots: String) -> Result<(), BoxError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(roots)? {
        store.add(certificate?)?;
    }
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(config)?));

    let host = uri.host().ok_or("the URL has no host")?;
    let mut addresses = lookup_host((host, uri.port_u16().unwrap_or(443))).await?;
    let server = addresses
        .find(SocketAddr::is_ipv4)
        .ok_or("the host has no IPv4 address")?;
    let endpoint = endpoint((Ipv4Addr::UNSPECIFIED, 0).into(), None)?;
    let connection = endpoint.connect_with(config, server, host)?.await?;
    let connection = h3_quinn::Connection::new(connection);
    let (mut driver, mut requests) = h3::client::new(connection).await?;
    let driving = runtime::spawn(async move { driver.wait_idle().await });

    let request = Request::get(uri).body(())?;
    let mut stream = requests.send_request(request).await?;
    stream.finish().await?;
    let response = stream.recv_response().await?;
    println!("{:?} {}", response.version(), response.status());
    while let Some(mut data) = stream.recv_data().await? {
        let data = data.copy_to_bytes(data.remaining());
        print!("{}", String::from_utf8_lossy(&data));
    }
    // The connection is closed when no request can follow.
    drop((stream, requests));
    let ended = driving.await?;
    if !is_close(&ended) {
        return Err(ended.into());
    }
    endpoint.wait_idle().await;
    Ok(())
}
