//! QUIC through quinn: a client and a server, each a process on one core, both on the same runtime.
//!
//! The server writes its certificate to a file that the client reads. A client transfers one time
//! for each line on its standard input, over a new connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use hyper::body::Bytes;
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig,
};

use crate::peers::{Tasks, ours, tokio};
use crate::{results, sys};

/// The length of a write.
const PIECE: usize = 64 << 10;

/// The way of the bytes of a transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Download,
    Upload,
}

/// A server and a client.
pub(crate) struct Pair {
    server: Program,
    client: Program,
}

impl Pair {
    pub(crate) fn start(peer: &str) -> io::Result<Pair> {
        let mut server = Program::start(&["quic-server", peer, "0"])?;
        let port = server.next_line()?;
        let client = Program::start(&["quic-client", peer, &port])?;
        Ok(Pair { server, client })
    }

    /// Transfers bytes, and returns the CPU time that both processes have used.
    pub(crate) fn transfer(&mut self, way: Way, bytes: usize) -> io::Result<Duration> {
        let before = self.cpu_time()?;
        let (uploaded, downloaded) = match way {
            Way::Download => (0, bytes),
            Way::Upload => (bytes, 0),
        };
        writeln!(self.client.stdin, "{uploaded} {downloaded}")?;
        if self.client.next_line()? != downloaded.to_string() {
            return Err(io::Error::other("the transfer failed"));
        }
        Ok(self.cpu_time()? - before)
    }

    fn cpu_time(&self) -> io::Result<Duration> {
        Ok(sys::cpu_time_of(self.server.child.id())? + sys::cpu_time_of(self.client.child.id())?)
    }
}

/// A child process that runs a command of this program.
struct Program {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> io::Result<Program> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Program {
                child,
                stdin,
                stdout: BufReader::new(stdout),
            }),
            _ => Err(io::Error::other("a pipe is missing")),
        }
    }

    fn next_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The runtimes that quinn runs on.
trait Quic: Tasks {
    /// Returns the runtime of this thread.
    fn current() -> Arc<dyn quinn::Runtime>;
}

impl Quic for ours::Ours {
    fn current() -> Arc<dyn quinn::Runtime> {
        Arc::new(runtime::compat::quinn::Runtime::current())
    }
}

impl Quic for tokio::Tokio {
    fn current() -> Arc<dyn quinn::Runtime> {
        Arc::new(quinn::TokioRuntime)
    }
}

/// Serves transfers: the command `bench quic-server BY 0`.
pub(crate) fn serve(by: &str) {
    sys::die_with_parent();
    sys::pin(sys::SERVER_CORE);
    match by {
        "tokio" => tokio::Tokio::block_on(serve_on::<tokio::Tokio>(by)),
        _ => ours::Ours::block_on(serve_on::<ours::Ours>(by)),
    }
}

/// Transfers bytes: the command `bench quic-client BY PORT`. Each line of the standard input has
/// the numbers of bytes to send and to receive. The answer is the number of bytes received.
pub(crate) fn request(by: &str, port: &str) {
    sys::die_with_parent();
    sys::pin(sys::LOAD_CORE);
    let server = (Ipv4Addr::LOCALHOST, port.parse().unwrap()).into();
    match by {
        "tokio" => tokio::Tokio::block_on(request_on::<tokio::Tokio>(by, server)),
        _ => ours::Ours::block_on(request_on::<ours::Ours>(by, server)),
    }
}

fn endpoint<P: Quic>(config: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Endpoint::new(EndpointConfig::default(), config, socket, P::current()).unwrap()
}

fn certificate_file(by: &str) -> PathBuf {
    results::folder().join(format!("quic-{by}.der"))
}

async fn serve_on<P: Quic>(by: &str) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = identity.cert.der().clone();
    fs::write(certificate_file(by), &certificate).unwrap();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::with_single_cert(vec![certificate], key).unwrap();
    let endpoint = endpoint::<P>(Some(config));
    println!("{}", endpoint.local_addr().unwrap().port());
    while let Some(incoming) = endpoint.accept().await {
        drop(P::spawn(async move {
            let connection = incoming.await.unwrap();
            // It returns an error when the client disconnects.
            while let Ok((sender, receiver)) = connection.accept_bi().await {
                drop(P::spawn(answer(sender, receiver)));
            }
        }));
    }
}

/// Receives to the end of the stream, and then sends as many bytes as its first eight bytes say.
async fn answer(mut sender: SendStream, mut receiver: RecvStream) {
    let mut wanted = [0; 8];
    receiver.read_exact(&mut wanted).await.unwrap();
    discard(&mut receiver).await;
    send(&mut sender, usize::from_le_bytes(wanted)).await;
}

async fn request_on<P: Quic>(by: &str, server: SocketAddr) {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from(fs::read(certificate_file(by)).unwrap());
    roots.add(certificate).unwrap();
    let config = ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    let endpoint = endpoint::<P>(None);
    // Between two transfers the thread has nothing else to do, so it may block.
    for line in io::stdin().lines() {
        let line = line.unwrap();
        let (uploaded, downloaded) = line.split_once(' ').unwrap();
        let connecting = endpoint.connect_with(config.clone(), server, "localhost");
        let connection = connecting.unwrap().await.unwrap();
        let received = transfer(
            &connection,
            uploaded.parse().unwrap(),
            downloaded.parse().unwrap(),
        );
        let received = received.await;
        connection.close(0_u32.into(), b"done");
        endpoint.wait_idle().await;
        println!("{received}");
    }
}

async fn transfer(connection: &Connection, uploaded: usize, downloaded: usize) -> usize {
    let (mut sender, mut receiver) = connection.open_bi().await.unwrap();
    sender.write_all(&downloaded.to_le_bytes()).await.unwrap();
    send(&mut sender, uploaded).await;
    discard(&mut receiver).await
}

/// Sends so many bytes and ends the stream.
async fn send(sender: &mut SendStream, bytes: usize) {
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let mut left = bytes;
    while left > 0 {
        let piece = piece.slice(..left.min(PIECE));
        left -= piece.len();
        sender.write_chunk(piece).await.unwrap();
    }
    sender.finish().unwrap();
}

/// Receives to the end of the stream, and returns the number of bytes.
async fn discard(receiver: &mut RecvStream) -> usize {
    let mut received = 0;
    while let Some(chunk) = receiver.read_chunk(usize::MAX, true).await.unwrap() {
        received += chunk.bytes.len();
    }
    received
}
