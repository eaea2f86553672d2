//! QUIC between hosts of a simulated world.

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::{ClientConfig, ConnectionError, Endpoint, EndpointConfig, ServerConfig};
use runtime::compat::quinn::Runtime;
use runtime::net::{UdpSocket, lookup_host};
use runtime::sim::{Builder, Crash, Latency, Result, World};
use runtime::time::Instant;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The name, certificate and key of a server. Signatures of Ed25519 have a fixed length, so that
/// those of two runs are alike.
#[derive(Clone)]
struct Identity(Arc<(CertificateDer<'static>, Vec<u8>)>);

impl Identity {
    fn new() -> Identity {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = rcgen::CertificateParams::new(["server".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Identity(Arc::new((certificate, key.serialize_der())))
    }

    fn server_config(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.0.1.clone()).unwrap();
        ServerConfig::with_single_cert(vec![self.0.0.clone()], key).unwrap()
    }

    fn client_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.0.clone()).unwrap();
        ClientConfig::with_root_certificates(Arc::new(roots)).unwrap()
    }
}

async fn endpoint(address: &str, config: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    let socket = UdpSocket::bind(address).await?.into_std();
    let runtime = Runtime::current();
    let mut endpoint_config = EndpointConfig::default();
    endpoint_config.rng_seed(runtime.rng_seed());
    Endpoint::new(endpoint_config, config, socket, Arc::new(runtime))
}

/// Sends back what each stream brings, of any number of connections.
async fn serve(config: ServerConfig) -> Result {
    let endpoint = endpoint("0.0.0.0:443", Some(config)).await?;
    while let Some(incoming) = endpoint.accept().await {
        drop(runtime::spawn(async move {
            let connection = incoming.await?;
            while let Ok((mut sender, mut receiver)) = connection.accept_bi().await {
                let mut buffer = vec![0; 10_000];
                while let Some(read) = receiver.read(&mut buffer).await? {
                    sender.write_all(&buffer[..read]).await?;
                }
                sender.finish()?;
            }
            Result::Ok(())
        }));
    }
    Ok(())
}

/// Connects, sends `length` bytes, and compares them with those that come back. `received` is their
/// number at any time.
async fn transfer(config: ClientConfig, length: usize, received: Rc<Cell<usize>>) -> Result {
    let endpoint = endpoint("0.0.0.0:0", None).await?;
    let server = lookup_host("server:443").await?.next().unwrap();
    let connection = endpoint.connect_with(config, server, "server")?.await?;
    let (mut sender, mut receiver) = connection.open_bi().await?;
    let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    let sending = async {
        sender.write_all(&bytes).await?;
        sender.finish()?;
        Result::Ok(())
    };
    let receiving = async {
        let mut echo = Vec::new();
        while let Some(chunk) = receiver.read_chunk(usize::MAX, true).await? {
            echo.extend_from_slice(&chunk.bytes);
            received.set(echo.len());
        }
        Result::Ok(echo)
    };
    let ((), echo) = runtime::try_join!(sending, receiving)?;
    assert!(echo == bytes, "{} bytes came back", echo.len());
    connection.close(0_u32.into(), b"done");
    endpoint.wait_idle().await;
    Ok(())
}

/// A world in which a client transfers `length` bytes to a server and back.
fn world(builder: Builder, identity: &Identity, length: usize) -> (World, Rc<Cell<usize>>) {
    let mut world = builder.build();
    let server = identity.clone();
    world.host("server", move || serve(server.server_config()));
    let received = Rc::new(Cell::new(0));
    let client = transfer(identity.client_config(), length, received.clone());
    world.client("client", client);
    (world, received)
}

#[test]
fn a_transfer_over_a_link_that_loses_and_reorders_datagrams_is_byte_exact() {
    let builder = Builder::new()
        .seed(3)
        .latency(Latency::Uniform(5 * MS, 15 * MS))
        .loss(0.03)
        .duplication(0.01)
        .reorder(0.02);
    let (mut world, received) = world(builder, &Identity::new(), 300_000);
    world.run().unwrap();
    assert_eq!(received.get(), 300_000);
    assert!(world.elapsed() > 10 * MS, "{:?}", world.elapsed());
    let trace = world.trace().last(usize::MAX).to_string();
    assert!(trace.contains("the link lost it"), "{trace}");
}

#[test]
fn a_handshake_takes_the_round_trips_of_the_protocol_in_virtual_time() {
    let identity = Identity::new();
    let mut world = Builder::new().latency(Latency::Fixed(50 * MS)).build();
    let server = identity.clone();
    world.host("server", move || serve(server.server_config()));
    world.client("client", async move {
        let endpoint = endpoint("0.0.0.0:0", None).await?;
        let server = lookup_host("server:443").await?.next().unwrap();
        let start = Instant::now();
        let config = identity.client_config();
        let connection = endpoint.connect_with(config, server, "server")?.await?;
        assert_eq!(start.elapsed(), 100 * MS);
        assert_eq!(connection.remote_address(), server);
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn a_transfer_survives_a_partition_that_heals() {
    const LENGTH: usize = 1_000_000;
    let builder = Builder::new()
        .seed(8)
        .latency(Latency::Fixed(10 * MS))
        .bandwidth(500_000);
    let (mut world, received) = world(builder, &Identity::new(), LENGTH);
    world.run_for(SECOND).unwrap();
    world.partition("client", "server");
    // What was on its way arrives or is lost.
    world.run_for(SECOND).unwrap();
    let before = received.get();
    assert!(before > 0 && before < LENGTH, "{before} bytes");
    world.run_for(10 * SECOND).unwrap();
    assert_eq!(received.get(), before, "bytes passed through the partition");
    world.heal("client", "server");
    world.run().unwrap();
    assert_eq!(received.get(), LENGTH);
}

#[test]
fn a_connection_to_a_host_that_is_silent_times_out_in_virtual_time() {
    let identity = Identity::new();
    let mut world = Builder::new().build();
    let server = identity.clone();
    world.host("server", move || serve(server.server_config()));
    world.client("client", async move {
        let endpoint = endpoint("0.0.0.0:0", None).await?;
        let server = lookup_host("server:443").await?.next().unwrap();
        let config = identity.client_config();
        let connection = endpoint.connect_with(config, server, "server")?.await?;
        runtime::sim::note("connected");
        assert_eq!(connection.closed().await, ConnectionError::TimedOut);
        Ok(())
    });
    let is_connected = |world: &World| {
        let trace = world.trace().last(usize::MAX).to_string();
        trace.contains("connected")
    };
    world.run_until(is_connected).unwrap();
    world.crash("server", Crash::Silent);
    world.run().unwrap();
    // The idle timeout of quinn.
    assert!(world.elapsed() >= 30 * SECOND, "{:?}", world.elapsed());
}

#[test]
fn one_seed_has_one_trace_and_another_seed_another() {
    let identity = Identity::new();
    let run = |seed: u64| {
        let builder = Builder::new()
            .seed(seed)
            .latency(Latency::Uniform(MS, 20 * MS))
            .loss(0.02);
        let (mut world, _) = world(builder, &identity, 100_000);
        world.run_for(100 * MS).unwrap();
        world.partition("client", "server");
        world.run_for(SECOND).unwrap();
        world.heal("client", "server");
        world.run().unwrap();
        world.trace()
    };
    let first = run(5);
    for _ in 0..3 {
        let again = run(5);
        if let Some(difference) = first.difference(&again) {
            panic!("two runs with one seed differ: {difference}");
        }
        assert_eq!(again.hash(), first.hash());
    }
    assert_ne!(run(6).hash(), first.hash());
}

#[test]
fn a_socket_of_the_system_is_refused_with_an_error_that_names_the_remedy() {
    let mut world = Builder::new().build();
    world.client("client", async {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        let runtime = Arc::new(Runtime::current());
        let error = Endpoint::new(EndpointConfig::default(), None, socket, runtime).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert!(text.contains("not one of this simulation"), "{text}");
        assert!(text.contains("runtime::net::UdpSocket"), "{text}");
        Ok(())
    });
    world.run().unwrap();
}
