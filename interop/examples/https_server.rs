//! An HTTPS server with axum and rustls: HTTP/1 and HTTP/2 by ALPN, and WebSockets (`wss`).
//!
//! The certificate is read from a file, or made for `localhost` at the start.
//!
//! Run with:
//!
//!     cargo run --example https_server -- --write-roots r.pem
//!     cargo run --example https_server -- --certificate FILE --key FILE
//!
//! and send requests:
//!
//!     curl --cacert r.pem https://localhost:8443/
//!     cargo run --example https_client -- --roots r.pem https://localhost:8443/
//!     cargo run --example https_client -- --roots r.pem wss://localhost:8443/echo

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, get};
use hyper_util::service::TowerToHyperService;
use interop::Arguments;
use runtime::compat::hyper_util::{Handshakes, serve};
use runtime::compat::tokio::Compat;
use runtime::net::{TcpListener, TcpStream};
use runtime::signal::ctrl_c;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[runtime::main(tokio)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::new(
        "https_server [--listen ADDR] [--certificate FILE --key FILE | --write-roots FILE]",
    );
    let address: Option<String> = arguments.option("--listen");
    let (certificates, key) = match arguments.option::<String>("--certificate") {
        Some(path) => {
            let Some(key) = arguments.option::<String>("--key") else {
                arguments.fail("--certificate needs --key")
            };
            let certificates = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
            (certificates, PrivateKeyDer::from_pem_file(key)?)
        }
        None => make_certificate(arguments.option("--write-roots"))?,
    };
    arguments.finish();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8443")).await?;
    // From here on Ctrl-C is noticed, also if it comes as soon as the address is printed.
    let interrupt = ctrl_c();
    println!("listening on {}", listener.local_addr()?);
    let routes = Router::new()
        .route("/", get(hello))
        .route("/echo", any(upgrade));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = Handshakes::new(listener, move |stream: TcpStream| {
        let peer = stream.peer_addr();
        let handshake = acceptor.accept(stream);
        async move {
            let stream = handshake.await.inspect_err(|e| match peer {
                Ok(peer) => eprintln!("handshake with {peer}: {e}"),
                Err(_) => eprintln!("handshake: {e}"),
            })?;
            Ok(Compat::new(stream))
        }
    });
    serve(listener, TowerToHyperService::new(routes))
        .with_graceful_shutdown(async {
            if let Err(e) = interrupt.await {
                eprintln!("https_server: {e}");
            }
        })
        .await?;
    Ok(())
}

/// A certificate, and the key to it.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Makes a certificate for `localhost`, and writes it to a file that clients can trust.
fn make_certificate(path: Option<String>) -> Result<Identity, Box<dyn Error>> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let identity = rcgen::generate_simple_self_signed(names)?;
    if let Some(path) = path {
        std::fs::write(path, identity.cert.pem())?;
    }
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    Ok((vec![identity.cert.der().clone()], key))
}

async fn hello(request: Request) -> String {
    format!("hello by {:?}\n", request.version())
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}
