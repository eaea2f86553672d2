//! hyper's client and server, unchanged, through a partition.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Request, Response};
use runtime::compat::hyper::Io;
use runtime::net::{TcpListener, TcpStream};
use runtime::sim::{Builder, Result};
use runtime::time::{Instant, timeout};

async fn serve() -> Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        drop(runtime::spawn(async move {
            let service = service_fn(async |request: Request<_>| {
                let path = request.uri().path().to_owned();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(path))))
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(Io::new(stream), service).await;
        }));
    }
}

#[test]
fn hyper_talks_through_a_partition() {
    let mut world = Builder::new().seed(9).build();
    world.host("server", serve);
    world.client("client", async {
        let stream = TcpStream::connect("server:80").await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(Io::new(stream)).await?;
        drop(runtime::spawn(connection));
        for number in 0..3 {
            let path = format!("/{number}");
            let request = Request::get(&path).body(Empty::<Bytes>::new())?;
            let start = Instant::now();
            let response = timeout(Duration::from_secs(60), sender.send_request(request)).await??;
            let body = response.into_body().collect().await?.to_bytes();
            assert_eq!(body, path.as_bytes());
            runtime::sim::note(format!("{path} took {} ms", start.elapsed().as_millis()));
            runtime::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    world.run_for(Duration::from_millis(500)).unwrap();
    world.partition("client", "server");
    // The second request is sent after one second, into the partition.
    world.run_for(Duration::from_secs(3)).unwrap();
    world.heal("client", "server");
    world.run().unwrap();
    let trace = world.trace().last(usize::MAX).to_string();
    assert!(trace.contains("lost data"), "{trace}");
    assert!(
        trace.contains("/0 took") && trace.contains("/2 took"),
        "{trace}"
    );
    // It took at least as long as the partition lasted after it.
    let slow = trace.lines().find(|line| line.contains("/1 took")).unwrap();
    let millis = slow.split(' ').rev().nth(1).unwrap();
    assert!(millis.parse::<u64>().unwrap() >= 2_000, "{slow}");
}
