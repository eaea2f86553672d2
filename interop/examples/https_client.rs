//! A client for HTTPS and `wss` that trusts the certificates of a file.
//!
//! Requests go through hyper-util's pooled client, HTTP/2 or HTTP/1 as the server chooses (ALPN):
//! hyper-rustls on the `Connector` of this runtime. A WebSocket is tokio-tungstenite on
//! tokio-rustls. Neither needs tokio's context.
//!
//! Run with:
//!
//!     cargo run --example https_client -- --roots FILE https://localhost:8443/
//!     cargo run --example https_client -- --roots FILE wss://localhost:8443/echo

use std::error::Error;
use std::io;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use interop::Arguments;
use runtime::compat::hyper::{Executor, Timer};
use runtime::compat::hyper_util::Connector;
use runtime::net::TcpStream;
use runtime::time::Duration;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

#[runtime::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::new("https_client --roots FILE [--text MESSAGE] URL");
    let Some(roots) = arguments.option::<String>("--roots") else {
        arguments.fail("--roots is missing")
    };
    let text = arguments.option("--text");
    let uri: Uri = arguments.positional().parse()?;
    arguments.finish();

    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(roots)? {
        store.add(certificate?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(store)
        .with_no_client_auth();
    match uri.scheme_str() {
        Some("wss") => {
            let text = text.unwrap_or_else(|| "hello".to_owned());
            println!("{}", echo(config, &uri, text).await?);
        }
        Some("https") => print!("{}", get(config, uri).await?),
        _ => return Err("the URL begins with neither https:// nor wss://".into()),
    }
    Ok(())
}

async fn get(config: ClientConfig, uri: Uri) -> Result<String, Box<dyn Error>> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_all_versions()
        .wrap_connector(Connector::new().timeout(Duration::from_secs(10)));
    let client = Client::builder(Executor)
        .timer(Timer)
        .pool_timer(Timer)
        .build::<_, Empty<Bytes>>(connector);
    let response = client.get(uri).await?;
    println!("{:?} {}", response.version(), response.status());
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Sends a text over a WebSocket, and returns the answer.
async fn echo(config: ClientConfig, uri: &Uri, text: String) -> Result<String, Box<dyn Error>> {
    let host = uri.host().ok_or("the URL has no host")?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host.to_owned())?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(uri, stream).await?;
    socket.send(Message::text(text)).await?;
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let answer = socket.next().await.ok_or_else(ended)??;
    socket.close(None).await?;
    // Until the server has closed too.
    while socket.next().await.is_some() {}
    Ok(answer.into_text()?.to_string())
}
