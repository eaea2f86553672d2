//! tonic over TLS by its own feature, and by rustls on our sockets.

use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::ServerConfig;
use runtime::compat::hyper_util::Handshakes;
use runtime::io::AsyncWriteExt;
use tonic::transport::{Certificate, ClientTlsConfig, Identity as Pem, ServerTlsConfig};

use super::*;
use crate::identity::Identity;

/// Returns a server with the certificate `identity` that requires the certificate `client`.
fn server(identity: &Identity, client: &Identity) -> Server {
    let config = ServerTlsConfig::new()
        .identity(Pem::from_pem(&identity.certificate, &identity.key))
        .client_ca_root(Certificate::from_pem(&client.certificate));
    Server::builder().tls_config(config).unwrap()
}

/// Returns a client that trusts the certificate `identity` and has the certificate `client`.
fn endpoint(url: &str, identity: &Identity, client: Option<&Identity>) -> Endpoint {
    let mut config =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&identity.certificate));
    if let Some(client) = client {
        config = config.identity(Pem::from_pem(&client.certificate, &client.key));
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.tls_config(config).unwrap()
}

/// Returns the arguments of the peer in Python that trusts the certificate `other`.
fn arguments<'a>(other: &'a Identity, own: &'a Identity) -> [&'a str; 3] {
    [&other.certificate, &own.key, &own.certificate]
}

#[runtime::test(tokio)]
async fn server_and_channel_authenticate_each_other() {
    let (identity, other) = (Identity::new(), Identity::new());
    let tls = server(&identity, &other);
    let server = start_with("https", tls, "127.0.0.1:0", Echo::default());
    let channel = endpoint(&server.url, &identity, Some(&other));
    use_channel(channel.connect().await.unwrap()).await;

    let distrusting = endpoint(&server.url, &other, Some(&other));
    assert!(distrusting.connect().await.is_err());
    let without_certificate = endpoint(&server.url, &identity, None);
    // The handshake of TLS 1.3 ends before the server refuses a client.
    if let Ok(channel) = without_certificate.connect().await {
        assert!(Client(channel).unary("x".into()).await.is_err());
    }
    server.stop().await;
}

#[runtime::test]
async fn routes_and_a_channel_use_tls_on_our_sockets_without_the_context() {
    let identity = Identity::new();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone()], identity.key_der.clone_key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let listener = Handshakes::new(listener, move |stream| acceptor.accept(stream));
    let routes = TowerToHyperService::new(Routes::new(Echo::default()).prepare());
    let server = runtime::spawn(serve(listener, routes).run());
    let endpoint = endpoint(&url, &identity, None).executor(Executor);
    let channel = endpoint.connect_with_connector(Connector::new()).await;
    use_channel(channel.unwrap()).await;
    server.abort();
}

#[runtime::test(tokio)]
async fn a_client_in_python_with_a_certificate_is_served() {
    let (identity, other) = (Identity::new(), Identity::new());
    let tls = server(&identity, &other);
    let server = start_with("https", tls, "127.0.0.1:0", Echo::default());
    check_python_client(&server.url, &arguments(&identity, &other)).await;
    server.stop().await;
}

#[runtime::test(tokio)]
async fn a_server_in_python_that_requires_a_certificate_is_called() {
    let (identity, other) = (Identity::new(), Identity::new());
    let Some((url, mut python)) = python_server(&arguments(&other, &identity)).await else {
        return;
    };
    let channel = endpoint(&url, &identity, Some(&other)).connect().await;
    use_channel(channel.unwrap()).await;
    python.kill().await.unwrap();
}

#[runtime::test(tokio)]
async fn openssl_negotiates_http_2_and_verifies_the_certificate() {
    let Some(openssl) = interop_services::servers::find("openssl") else {
        return;
    };
    let identity = Identity::new();
    let config =
        ServerTlsConfig::new().identity(Pem::from_pem(&identity.certificate, &identity.key));
    let tls = Server::builder().tls_config(config).unwrap();
    let server = start_with("https", tls, "127.0.0.1:0", Echo::default());
    let address = server.url.strip_prefix("https://").unwrap();
    let mut client = Command::new(openssl)
        .args(["s_client", "-connect", address, "-alpn", "h2"])
        .args(["-verify_return_error", "-verify_ip", "127.0.0.1"])
        .args(["-CAfile", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let certificate = identity.certificate.as_bytes();
    input.write_all(certificate).await.unwrap();
    drop(input);
    let output = client.wait_with_output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("ALPN protocol: h2"), "{text}");
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    server.stop().await;
}
