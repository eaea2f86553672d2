//! rustls through a network that loses packets.

use std::sync::Arc;
use std::time::Duration;

use futures_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use futures_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use futures_rustls::{TlsAcceptor, TlsConnector};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::sim::Builder;

#[test]
fn rustls_transfers_bytes_over_a_link_that_loses_packets() {
    let identity = rcgen::generate_simple_self_signed(["server".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let mut roots = RootCertStore::empty();
    roots.add(identity.cert.der().clone()).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));

    let mut world = Builder::new().seed(5).loss(0.05).build();
    world.host("server", move || {
        let acceptor = acceptor.clone();
        async move {
            let listener = TcpListener::bind("0.0.0.0:443").await?;
            let (stream, _) = listener.accept().await?;
            let mut stream = acceptor.accept(stream).await?;
            let mut buffer = [0; 4_096];
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    stream.close().await?;
                    return Ok(());
                }
                stream.write_all(&buffer[..read]).await?;
                stream.flush().await?;
            }
        }
    });
    world.client("client", async move {
        let stream = TcpStream::connect("server:443").await?;
        let mut stream = connector
            .connect(ServerName::try_from("server")?, stream)
            .await?;
        for length in [1, 1_000, 30_000] {
            let sent = vec![7; length];
            stream.write_all(&sent).await?;
            stream.flush().await?;
            let mut echo = vec![0; length];
            stream.read_exact(&mut echo).await?;
            assert!(echo == sent);
        }
        stream.close().await?;
        Ok(())
    });
    world.run().unwrap();
    assert!(world.elapsed() > Duration::ZERO);
    let trace = world.trace().last(usize::MAX).to_string();
    assert!(trace.contains("the link lost it"), "{trace}");
}
