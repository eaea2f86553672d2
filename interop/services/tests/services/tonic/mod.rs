//! tonic: its server and channel with tokio's context, and both on our sockets without it. The
//! messages are texts without protobuf, which needs no context anyway.

mod echo;
mod tls;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use hyper_util::service::TowerToHyperService;
use interop_services::servers::find_python_with;
use runtime::compat::hyper::Executor;
use runtime::compat::hyper_util::{Connector, serve};
use runtime::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use runtime::net::TcpListener;
use runtime::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request};

use crate::{at_once, until_ok};
use echo::{Client, Echo};

/// A server of tonic in a task of ours.
struct Running {
    url: String,
    stop: oneshot::Sender<()>,
    task: runtime::JoinHandle<Result<(), tonic::transport::Error>>,
}

fn start(address: &str, echo: Echo) -> Running {
    start_with("http", Server::builder(), address, echo)
}

fn start_with(scheme: &str, mut server: Server, address: &str, echo: Echo) -> Running {
    let incoming = TcpIncoming::bind(address.parse().unwrap()).unwrap();
    let url = format!("{scheme}://{}", incoming.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let server = server.add_service(echo);
    let server = server.serve_with_incoming_shutdown(incoming, async {
        let _ = stopped.await;
    });
    Running {
        url,
        stop,
        task: runtime::spawn(server),
    }
}

impl Running {
    /// Stops accepting, and waits for the requests that have begun.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}

/// Makes calls of all kinds in 32 tasks at once.
async fn use_channel(channel: Channel) {
    at_once(|n| {
        let client = Client(channel.clone());
        async move {
            let text = client.unary(n.to_string()).await.unwrap();
            assert_eq!(text, format!("hello {n}"));

            let numbers = client.server_streaming("1000".into()).await.unwrap();
            let numbers: Vec<String> = numbers.try_collect().await.unwrap();
            let expected: Vec<_> = (0..1000).map(echo::number).collect();
            assert_eq!(numbers, expected);

            // Each message is sent when the answer to the last one is there. The server in Python
            // sends no headers before the first message.
            let (sender, receiver) = mpsc::channel::<String>(1);
            let receiver = stream::unfold(receiver, |mut receiver| async {
                Some((receiver.recv().await?, receiver))
            });
            sender.send("0".into()).await.unwrap();
            let mut echoed = client.bidi(receiver).await.unwrap();
            for n in 0..20 {
                let answer = echoed.next().await.unwrap().unwrap();
                assert_eq!(answer, format!("echo {n}"));
                if n < 19 {
                    sender.send((n + 1).to_string()).await.unwrap();
                }
            }
            drop(sender);
            assert!(echoed.next().await.is_none());
        }
    })
    .await;
    let status = Client(channel).unary("error".into()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "an error")
    );
}

#[runtime::test(tokio)]
async fn server_and_channel_need_the_context_alone() {
    let server = start("127.0.0.1:0", Echo::default());
    let channel = connect(&server.url).await;
    use_channel(channel.clone()).await;
    drop(channel);
    server.stop().await;
}

#[runtime::test]
async fn routes_and_a_channel_work_on_our_sockets_without_the_context() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = TowerToHyperService::new(Routes::new(Echo::default()).prepare());
    let server = runtime::spawn(serve(listener, routes).run());
    let endpoint = Endpoint::from_shared(url).unwrap().executor(Executor);
    let channel = endpoint.connect_with_connector(Connector::new()).await;
    use_channel(channel.unwrap()).await;
    server.abort();
}

#[runtime::test(tokio)]
async fn a_call_that_exceeds_its_deadline_is_dropped_by_the_server_too() {
    let dropped = Arc::new(Semaphore::new(0));
    let server = start(
        "127.0.0.1:0",
        Echo {
            dropped: dropped.clone(),
        },
    );
    let client = Client(connect(&server.url).await);
    // A call may time out before the server begins it.
    while dropped.available_permits() == 0 {
        let mut request = Request::new("wait".to_owned());
        request.set_timeout(Duration::from_millis(50));
        let status = client.call(request).await.unwrap_err();
        let codes = [Code::DeadlineExceeded, Code::Cancelled];
        assert!(codes.contains(&status.code()), "{status:?}");
    }
    drop(client);
    server.stop().await;
}

#[runtime::test(tokio)]
async fn a_stream_that_the_client_drops_ends_at_the_server() {
    let dropped = Arc::new(Semaphore::new(0));
    let server = start(
        "127.0.0.1:0",
        Echo {
            dropped: dropped.clone(),
        },
    );
    let client = Client(connect(&server.url).await);
    let mut numbers = client.server_streaming("1000000000".into()).await.unwrap();
    assert_eq!(numbers.next().await.unwrap().unwrap(), echo::number(0));
    drop(numbers);
    dropped.acquire().await.unwrap().forget();
    drop(client);
    server.stop().await;
}

#[runtime::test(tokio)]
async fn a_channel_connects_again_after_a_restart_of_the_server() {
    let server = start("127.0.0.1:0", Echo::default());
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let client = Client(connect(&server.url).await);
    assert_eq!(client.unary("a".into()).await.unwrap(), "hello a");
    server.stop().await;
    assert!(client.unary("a".into()).await.is_err());
    let server = start(&address, Echo::default());
    assert_eq!(until_ok(|| client.unary("b".into())).await, "hello b");
    drop(client);
    server.stop().await;
}

/// Starts the peer in Python, with TLS if the last of its arguments are three texts in PEM:
/// the certificate to trust, and the key and the certificate of the peer.
fn python(arguments: &[&str]) -> Option<Child> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/tonic/peer.py");
    let child = Command::new(find_python_with("grpc")?)
        .arg("-u")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    Some(child.unwrap())
}

async fn check_python_client(url: &str, tls: &[&str]) {
    let address = url.split_once("://").unwrap().1;
    let Some(mut python) = python(&[&["client", address], tls].concat()) else {
        return;
    };
    let mut output = String::new();
    python
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .await
        .unwrap();
    assert_eq!(
        output,
        "hello x\n1000 499500\necho a echo b echo c\nINVALID_ARGUMENT an error\n"
    );
    assert!(python.wait().await.unwrap().success());
}

#[runtime::test(tokio)]
async fn a_client_in_python_is_served() {
    let server = start("127.0.0.1:0", Echo::default());
    check_python_client(&server.url, &[]).await;
    server.stop().await;
}

#[runtime::test]
async fn a_client_in_python_is_served_on_our_sockets_without_the_context() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = TowerToHyperService::new(Routes::new(Echo::default()).prepare());
    let server = runtime::spawn(serve(listener, routes).run());
    check_python_client(&url, &[]).await;
    server.abort();
}

/// Starts a server in Python and returns its URL.
async fn python_server(tls: &[&str]) -> Option<(String, Child)> {
    let mut python = python(&[&["server"], tls].concat())?;
    let mut line = String::new();
    let mut output = BufReader::new(python.stdout.take().unwrap());
    output.read_line(&mut line).await.unwrap();
    let scheme = if tls.is_empty() { "http" } else { "https" };
    Some((format!("{scheme}://127.0.0.1:{}", line.trim()), python))
}

#[runtime::test(tokio)]
async fn a_server_in_python_is_called() {
    let Some((url, mut python)) = python_server(&[]).await else {
        return;
    };
    use_channel(connect(&url).await).await;
    python.kill().await.unwrap();
}

#[runtime::test]
async fn a_server_in_python_is_called_from_our_sockets_without_the_context() {
    let Some((url, mut python)) = python_server(&[]).await else {
        return;
    };
    let endpoint = Endpoint::from_shared(url).unwrap().executor(Executor);
    let channel = endpoint.connect_with_connector(Connector::new()).await;
    use_channel(channel.unwrap()).await;
    python.kill().await.unwrap();
}
