//! tokio-rustls without tokio's context: it needs tokio's traits alone.

use std::net::SocketAddr;
use std::sync::Arc;

use runtime::net::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::peer;

/// The answer to any request.
fn answer() -> String {
    let body = "x".repeat(200_000);
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// The certificate of a server for `localhost`.
struct Identity {
    certificate: rcgen::Certificate,
    config: Arc<ServerConfig>,
}

impl Identity {
    fn new() -> Identity {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)
            .unwrap();
        Identity {
            certificate: identity.cert,
            config: Arc::new(config),
        }
    }

    /// Returns the configuration of a client that trusts it.
    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}

/// A server with tokio-rustls that answers one request of each connection.
async fn start(identity: &Identity) -> (SocketAddr, runtime::JoinHandle<()>) {
    let acceptor = TlsAcceptor::from(identity.config.clone());
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
            stream.write_all(answer().as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, server)
}

/// The same server with futures-rustls.
async fn start_with_futures(identity: &Identity) -> (SocketAddr, runtime::JoinHandle<()>) {
    use runtime::io::{AsyncReadExt, AsyncWriteExt};
    let acceptor = futures_rustls::TlsAcceptor::from(identity.config.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = runtime::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                request.extend(byte);
            }
            stream.write_all(answer().as_bytes()).await.unwrap();
            stream.close().await.unwrap();
        }
    });
    (address, server)
}

/// Reads the answer with tokio-rustls.
async fn request(address: SocketAddr, config: Arc<ClientConfig>) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(config);
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Reads the answer with futures-rustls.
async fn request_with_futures(address: SocketAddr, config: Arc<ClientConfig>) -> String {
    use runtime::io::{AsyncReadExt, AsyncWriteExt};
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = futures_rustls::TlsConnector::from(config);
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[runtime::test]
async fn a_client_that_trusts_the_certificate_reads_the_whole_answer() {
    let identity = Identity::new();
    let (address, server) = start(&identity).await;
    assert_eq!(request(address, identity.client()).await, answer());
    assert_eq!(
        request_with_futures(address, identity.client()).await,
        answer()
    );
    server.abort();
}

#[runtime::test]
async fn futures_rustls_serves_both_libraries() {
    let identity = Identity::new();
    let (address, server) = start_with_futures(&identity).await;
    assert_eq!(request(address, identity.client()).await, answer());
    assert_eq!(
        request_with_futures(address, identity.client()).await,
        answer()
    );
    server.abort();
}

#[runtime::test]
async fn curl_and_openssl_read_the_whole_answer() {
    let identity = Identity::new();
    let (address, server) = start(&identity).await;
    peers_read(address, &identity, "tokio").await;
    server.abort();
    let (address, server) = start_with_futures(&identity).await;
    peers_read(address, &identity, "futures").await;
    server.abort();
}

async fn peers_read(address: SocketAddr, identity: &Identity, name: &str) {
    let name = format!("runtime-interop-{}-{name}.pem", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, identity.certificate.pem()).unwrap();
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
}
