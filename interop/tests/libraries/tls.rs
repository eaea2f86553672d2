//! tokio-rustls without tokio's context: it needs tokio's traits alone.

use std::net::SocketAddr;
use std::sync::Arc;

use runtime::net::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::peer;

/// A server for `localhost` that answers one line with HTTP, and the certificate to trust.
async fn start() -> (SocketAddr, runtime::JoinHandle<()>, rcgen::Certificate) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = runtime::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let body = "x".repeat(200_000);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, server, identity.cert)
}

#[runtime::test]
async fn a_client_that_trusts_the_certificate_reads_the_whole_answer() {
    let (address, server, certificate) = start().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&"x".repeat(200_000)));
    server.abort();
}

#[runtime::test]
async fn curl_and_openssl_read_the_whole_answer() {
    let (address, server, certificate) = start().await;
    let path = std::env::temp_dir().join(format!("runtime-interop-{}.pem", std::process::id()));
    std::fs::write(&path, certificate.pem()).unwrap();
    let path = path.to_str().unwrap();

    let url = format!("https://localhost:{}/", address.port());
    let to = format!("localhost:{}:127.0.0.1", address.port());
    let curl = [
        "--silent",
        "--fail",
        "--cacert",
        path,
        "--resolve",
        &to,
        &url,
    ];
    if let Some(body) = peer("curl", curl).await {
        assert_eq!(body, "x".repeat(200_000));
    }
    let address = address.to_string();
    let request = format!(
        "printf 'GET / HTTP/1.1\\r\\n\\r\\n' | openssl s_client -quiet -verify_return_error \
         -CAfile {path} -servername localhost -connect {address} 2>/dev/null"
    );
    if peer("openssl", ["version"]).await.is_some() {
        let answer = peer("sh", ["-c", &request]).await.unwrap();
        assert!(
            answer.ends_with(&"x".repeat(200_000)),
            "{} bytes",
            answer.len()
        );
    }
    std::fs::remove_file(path).unwrap();
    server.abort();
}
