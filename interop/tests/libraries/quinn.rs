//! quinn on this runtime, with a client on tokio's as its peer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig};
use runtime::compat::quinn::Runtime;

/// More than any window, so that both sides have to wait.
const LENGTH: usize = 5_000_000;

fn bytes() -> Vec<u8> {
    (0..LENGTH).map(|i| (i % 251) as u8).collect()
}

/// An endpoint on the runtime of this thread.
fn endpoint(config: Option<ServerConfig>) -> Endpoint {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let runtime = Arc::new(Runtime::current());
    Endpoint::new(EndpointConfig::default(), config, socket, runtime).unwrap()
}

/// A server that sends back what it receives, until it has served `connections`.
fn start(connections: usize) -> (SocketAddr, CertificateDer<'static>, runtime::JoinHandle<()>) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = identity.cert.der().clone();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::with_single_cert(vec![certificate.clone()], key).unwrap();
    let endpoint = endpoint(Some(config));
    let address = endpoint.local_addr().unwrap();
    let server = runtime::spawn(async move {
        for _ in 0..connections {
            let connection = endpoint.accept().await.unwrap().await.unwrap();
            let (mut sender, mut receiver) = connection.accept_bi().await.unwrap();
            let mut buffer = vec![0; 10_000];
            while let Some(read) = receiver.read(&mut buffer).await.unwrap() {
                sender.write_all(&buffer[..read]).await.unwrap();
            }
            sender.finish().unwrap();
            connection.closed().await;
        }
        endpoint.wait_idle().await;
    });
    (address, certificate, server)
}

/// Sends and receives at once, and returns what came back.
async fn echo(
    endpoint: Endpoint,
    address: SocketAddr,
    trusted: CertificateDer<'static>,
) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    let connecting = endpoint.connect_with(config, address, "localhost").unwrap();
    let connection = connecting.await.unwrap();
    let (mut sender, mut receiver) = connection.open_bi().await.unwrap();
    let sending = async {
        sender.write_all(&bytes()).await.unwrap();
        sender.finish().unwrap();
    };
    let (received, ()) = runtime::join!(receiver.read_to_end(2 * LENGTH), sending);
    connection.close(0_u32.into(), b"done");
    endpoint.wait_idle().await;
    received.unwrap()
}

#[runtime::test]
async fn a_transfer_between_two_endpoints_of_ours_is_byte_exact() {
    let (address, certificate, server) = start(1);
    let received = echo(endpoint(None), address, certificate).await;
    assert!(received == bytes(), "{} bytes came back", received.len());
    server.await.unwrap();
}

#[runtime::test]
async fn a_transfer_with_an_endpoint_on_tokio_is_byte_exact() {
    let (address, certificate, server) = start(1);
    let client = runtime::spawn_blocking(move || {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio.block_on(async {
            let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            echo(endpoint, address, certificate).await
        })
    });
    let received = client.await.unwrap();
    assert!(received == bytes(), "{} bytes came back", received.len());
    server.await.unwrap();
}

#[runtime::test(tokio)]
async fn it_works_beside_tokio_too() {
    let (address, certificate, server) = start(1);
    let received = tokio::spawn(echo(endpoint(None), address, certificate));
    let received = received.await.unwrap();
    assert!(received == bytes(), "{} bytes came back", received.len());
    server.await.unwrap();
}
