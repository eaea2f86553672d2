//! Compares axum on this runtime with axum on tokio's `current_thread` runtime: the CPU time and
//! the instructions that the server takes for a request with a JSON body and a JSON answer.
//!
//! There are three servers with the same routes: `axum::serve` on tokio, `axum::serve` on this
//! runtime with tokio's context, and `compat::hyper_util::serve` on this runtime alone.
//!
//! Run with:
//!
//!     cargo run --release --example axum_compare -- instructions    # needs valgrind
//!     cargo run --release --example axum_compare -- cpu --rounds 15

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::Arc;

use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::service::TowerToHyperService;
use interop::Arguments;
use runtime::Runtime;
use runtime::compat::hyper::{Executor, Io};
use runtime::compat::hyper_util::serve;
use runtime::compat::tokio::Compat;
use runtime::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use runtime::net::{TcpListener, TcpStream};
use runtime::process::{Child, ChildStdout};
use runtime::task::JoinSet;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

type BoxError = Box<dyn Error + Send + Sync>;

const USAGE: &str = "axum_compare instructions
       axum_compare cpu [--rounds N] [--requests N]
       axum_compare serve tokio|hosted|alone [--identity FOLDER]";

const SERVERS: [&str; 3] = ["tokio", "hosted", "alone"];

/// The maximum number of requests of each connection before the measurement, which fill caches and
/// buffers.
const WARM_UP: usize = 50;

/// The default for the requests of a measurement.
const REQUESTS: usize = 2_048;

fn main() -> Result<(), BoxError> {
    let mut arguments = Arguments::new(USAGE);
    match &*arguments.positional() {
        "serve" => {
            let name = arguments.positional();
            let identity = arguments.option::<PathBuf>("--identity");
            arguments.finish();
            run_server(&name, identity.as_deref())
        }
        "instructions" => {
            arguments.finish();
            runtime::block_on(compare(None, REQUESTS))
        }
        "cpu" => {
            let rounds = arguments.option("--rounds").unwrap_or(15);
            let requests = arguments.option("--requests").unwrap_or(REQUESTS);
            arguments.finish();
            runtime::block_on(compare(Some(rounds), requests))
        }
        _ => arguments.fail("neither serve nor instructions nor cpu"),
    }
}

// The servers.

#[derive(Serialize, Deserialize)]
struct Order {
    customer: String,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    count: u64,
    cents: u64,
}

#[derive(Serialize)]
struct Receipt {
    customer: String,
    count: u64,
    cents: u64,
}

async fn order(Json(order): Json<Order>) -> Json<Receipt> {
    Json(Receipt {
        customer: order.customer,
        count: order.items.iter().map(|item| item.count).sum(),
        cents: order.items.iter().map(|item| item.count * item.cents).sum(),
    })
}

/// Returns the CPU time of this process in nanoseconds.
async fn cpu_time() -> String {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec).to_string()
}

fn routes() -> Router {
    Router::new()
        .route("/order", post(order))
        .route("/cpu", get(cpu_time))
        .route("/quit", get(|| async { exit(0) as () }))
}

fn run_server(name: &str, identity: Option<&Path>) -> Result<(), BoxError> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let acceptor = identity.map(acceptor).transpose()?;
    match name {
        "tokio" => {
            let tokio = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            tokio.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
                serve_axum(listener, acceptor).await
            })?;
        }
        "hosted" => Runtime::builder().tokio(true).build()?.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            serve_axum(listener, acceptor).await
        })?,
        _ => runtime::block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let service = TowerToHyperService::new(routes());
            match acceptor {
                None => serve(listener, service).run().await,
                Some(acceptor) => serve(Tls { listener, acceptor }, service).run().await,
            }
        })?,
    }
    Ok(())
}

async fn serve_axum<L>(listener: L, acceptor: Option<TlsAcceptor>) -> io::Result<()>
where
    L: axum::serve::Listener<Addr = SocketAddr>,
{
    match acceptor {
        None => axum::serve(listener, routes()).await,
        Some(acceptor) => axum::serve(Tls { listener, acceptor }, routes()).await,
    }
}

fn acceptor(folder: &Path) -> Result<TlsAcceptor, BoxError> {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A listener with TLS, one handshake at a time.
struct Tls<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L: axum::serve::Listener> axum::serve::Listener for Tls<L> {
    type Io = TlsStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, L::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

impl runtime::compat::hyper_util::Listener for Tls<TcpListener> {
    type Stream = Compat<TlsStream<TcpStream>>;

    async fn accept(&mut self) -> io::Result<Self::Stream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return Ok(Compat::new(stream));
            }
        }
    }
}

// The load.

/// The kind of load that is sent.
#[derive(Clone, Copy)]
struct Load {
    has_tls: bool,
    is_http2: bool,
    connections: usize,
    /// The number of requests of each connection in a measurement.
    requests: usize,
}

impl Load {
    fn all(requests: usize) -> Vec<Load> {
        let mut all = Vec::new();
        for has_tls in [false, true] {
            for is_http2 in [false, true] {
                for connections in [1, 64] {
                    all.push(Load {
                        has_tls,
                        is_http2,
                        connections,
                        requests: requests / connections,
                    });
                }
            }
        }
        all
    }

    fn name(self) -> String {
        let version = if self.is_http2 { "HTTP/2" } else { "HTTP/1.1" };
        let tls = if self.has_tls { "TLS" } else { "plain" };
        format!("{version} | {tls} | {}", self.connections)
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn open(server: SocketAddr, load: Load, roots: &Path) -> Result<Sender, BoxError> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        if !load.has_tls {
            return Sender::handshake(Io::new(stream), load.is_http2).await;
        }
        let mut store = RootCertStore::empty();
        store.add(CertificateDer::from_pem_file(
            roots.join("certificate.pem"),
        )?)?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(store)
            .with_no_client_auth();
        let protocol: &[u8] = if load.is_http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost")?;
        let stream = connector.connect(name, stream).await?;
        Sender::handshake(Io::new(Compat::new(stream)), load.is_http2).await
    }

    async fn handshake<S>(stream: Io<S>, is_http2: bool) -> Result<Sender, BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        if is_http2 {
            let (sender, connection) = http2::handshake(Executor, stream).await?;
            runtime::spawn(connection);
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = http1::handshake(stream).await?;
            runtime::spawn(connection);
            Ok(Sender::Http1(sender))
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Orders, one after the other.
    async fn order(&mut self, count: usize, body: &Bytes) -> Result<(), BoxError> {
        for _ in 0..count {
            let request = Request::post("http://localhost/order")
                .header("host", "localhost")
                .header("content-type", "application/json")
                .body(Full::new(body.clone()))?;
            let response = self.send(request).await?;
            let receipt = response.into_body().collect().await?.to_bytes();
            if &*receipt != br#"{"customer":"somebody@example.org","count":36,"cents":12240}"# {
                return Err(format!("another answer: {receipt:?}").into());
            }
        }
        Ok(())
    }

    async fn get(&mut self, path: &str) -> Result<String, BoxError> {
        let request = Request::get(format!("http://localhost{path}"))
            .header("host", "localhost")
            .body(Full::default())?;
        let body = self.send(request).await?.into_body().collect().await?;
        Ok(String::from_utf8(body.to_bytes().to_vec())?)
    }
}

fn body() -> Result<Bytes, BoxError> {
    let items = (1..=8).map(|number| Item {
        name: format!("item {number}"),
        count: number,
        cents: 340,
    });
    let order = Order {
        customer: "somebody@example.org".to_owned(),
        items: items.collect(),
    };
    Ok(Bytes::from(serde_json::to_vec(&order)?))
}

/// A server in a process of its own, and the connections to it.
struct Peer {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    load: Load,
    senders: Vec<Sender>,
    control: Sender,
    body: Bytes,
}

impl Peer {
    async fn start(mut command: Command, load: Load, identity: &Path) -> Result<Peer, BoxError> {
        if load.has_tls {
            command.arg("--identity").arg(identity);
        }
        let mut command = runtime::process::Command::from(command);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no pipe to the server")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line).await?;
        let server: SocketAddr = line.trim().parse()?;
        let control = Sender::open(server, load, identity).await?;
        let mut senders = Vec::new();
        for _ in 0..load.connections {
            senders.push(Sender::open(server, load, identity).await?);
        }
        let mut peer = Peer {
            child,
            _stdout: stdout,
            load,
            senders,
            control,
            body: body()?,
        };
        peer.order(WARM_UP.min(load.requests)).await?;
        Ok(peer)
    }

    /// Orders on all connections at once, and returns the number of requests.
    async fn order(&mut self, count: usize) -> Result<usize, BoxError> {
        let mut orders = JoinSet::new();
        for mut sender in self.senders.drain(..) {
            let body = self.body.clone();
            orders.spawn(async move { sender.order(count, &body).await.map(|()| sender) });
        }
        while let Some(ended) = orders.join_next().await {
            self.senders.push(ended??);
        }
        Ok(count * self.load.connections)
    }

    /// Returns the nanoseconds of CPU time a request.
    async fn measure_cpu(&mut self) -> Result<f64, BoxError> {
        let before: u64 = self.control.get("/cpu").await?.parse()?;
        let requests = self.order(self.load.requests).await?;
        let after: u64 = self.control.get("/cpu").await?.parse()?;
        Ok((after - before) as f64 / requests as f64)
    }

    async fn stop(mut self) -> Result<(), BoxError> {
        // It exits without an answer.
        let _ = self.control.get("/quit").await;
        self.child.wait().await?;
        Ok(())
    }
}

// The comparison.

/// A folder with a certificate for `localhost`, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, BoxError> {
        let path = std::env::temp_dir().join(format!("axum_compare-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(path.join("certificate.pem"), identity.cert.pem())?;
        std::fs::write(path.join("key.pem"), identity.signing_key.serialize_pem())?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Compares the CPU time in rounds, or counts instructions.
async fn compare(rounds: Option<usize>, requests: usize) -> Result<(), BoxError> {
    let identity = Folder::new()?;
    println!("| HTTP | | connections | axum on tokio | axum on this runtime | `serve` alone |");
    println!("|---|---|---|---|---|---|");
    for load in Load::all(requests) {
        let cells = match rounds {
            Some(rounds) => compare_cpu(load, rounds, &identity.0).await?,
            None => count_instructions(load, &identity.0).await?,
        };
        println!("| {} | {} |", load.name(), cells.join(" | "));
    }
    Ok(())
}

fn server_command(mut command: Command, name: &str) -> Command {
    command.args(["serve", name]);
    command
}

/// Measures all servers in each round, and returns the ratios to the first: the median, and the
/// quartiles.
async fn compare_cpu(load: Load, rounds: usize, identity: &Path) -> Result<Vec<String>, BoxError> {
    let mut peers = Vec::new();
    for name in SERVERS {
        let command = server_command(Command::new(std::env::current_exe()?), name);
        peers.push(Peer::start(command, load, identity).await?);
    }
    let (mut base, mut ratios) = (Vec::new(), vec![Vec::new(); SERVERS.len()]);
    for round in 0..rounds {
        let mut times = [0.0; SERVERS.len()];
        for i in 0..SERVERS.len() {
            // Another order in each round.
            let server = (i + round) % SERVERS.len();
            times[server] = peers[server].measure_cpu().await?;
        }
        base.push(times[0]);
        for (ratios, time) in ratios.iter_mut().zip(times) {
            ratios.push(time / times[0]);
        }
    }
    for peer in peers {
        peer.stop().await?;
    }
    base.sort_by(f64::total_cmp);
    let mut cells = vec![format!("{:.1} µs", base[rounds / 2] / 1e3)];
    for ratios in &mut ratios[1..] {
        ratios.sort_by(f64::total_cmp);
        let at = |quarter| ratios[(rounds - 1) * quarter / 4];
        cells.push(format!("{:.2} ({:.2} to {:.2})", at(2), at(1), at(3)));
    }
    Ok(cells)
}

/// Runs each server under callgrind twice, and returns what the additional requests of the second
/// run take.
async fn count_instructions(load: Load, identity: &Path) -> Result<Vec<String>, BoxError> {
    let mut cells = Vec::new();
    let mut base = 0.0;
    for name in SERVERS {
        let (mut counts, mut additional) = ([0; 2], 0);
        for (run, count) in counts.iter_mut().enumerate() {
            let output = identity.join("callgrind");
            let mut command = Command::new("valgrind");
            command.args(["--quiet", "--tool=callgrind"]);
            command.arg(format!("--callgrind-out-file={}", output.display()));
            command.arg(std::env::current_exe()?);
            let command = server_command(command, name);
            let mut peer = Peer::start(command, load, identity).await?;
            if run == 1 {
                additional = peer.order(load.requests).await?;
            }
            peer.stop().await?;
            let text = std::fs::read_to_string(output)?;
            let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
            *count = total.ok_or("no total of callgrind")?.trim().parse()?;
        }
        let each = (counts[1] - counts[0]) as f64 / additional as f64;
        if name == SERVERS[0] {
            base = each;
            cells.push(format!("{each:.0}"));
        } else {
            cells.push(format!("{each:.0} ({:.2})", each / base));
        }
    }
    Ok(cells)
}
