//! The number of system calls that `compat::hyper::Io` makes to read, by the frames of hyper and by
//! strace.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::mem::MaybeUninit;
use std::pin::Pin;
#[cfg(target_os = "linux")]
use std::process::Command;
use std::rc::Rc;

use futures_lite::future::poll_once;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBuf};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use runtime::compat::hyper::Io;
use runtime::net::{TcpSocket, TcpStream, UnixStream};

/// Returns a client and a server whose receive buffer holds more than 64 KiB from the start.
async fn pair() -> (std::net::TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(400_000).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::net::TcpStream::connect(address).unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Reads once into a buffer of `len` bytes and returns what was read.
async fn read_once<T>(io: &mut Io<T>, len: usize) -> io::Result<Vec<u8>>
where
    Io<T>: Read + Unpin,
{
    let mut memory = vec![MaybeUninit::uninit(); len];
    let mut buf = ReadBuf::uninit(&mut memory);
    poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, buf.unfilled())).await?;
    Ok(buf.filled().to_vec())
}

#[runtime::test]
async fn one_read_fills_a_large_buffer_of_hyper() {
    const LEN: usize = 100_000;
    let (mut client, server) = pair().await;
    let data: Vec<u8> = (0..LEN).map(|n| (n / 7) as u8).collect();
    client.set_nonblocking(true).unwrap();
    client.write_all(&data).unwrap();
    let mut io = Io::new(server);
    assert!(read_once(&mut io, 1 << 20).await.unwrap() == data);
    drop(client);
    assert!(read_once(&mut io, 1 << 20).await.unwrap().is_empty());
}

#[runtime::test]
async fn a_unix_stream_is_read_into_a_large_buffer_of_hyper_too() {
    const LEN: usize = 100_000;
    let (client, server) = UnixStream::pair().unwrap();
    let data = vec![b'u'; LEN];
    assert_eq!(client.try_write(&data).unwrap(), LEN);
    assert!(read_once(&mut Io::new(server), 1 << 20).await.unwrap() == data);
}

#[runtime::test]
async fn a_buffer_without_room_reads_nothing() {
    let (mut client, server) = pair().await;
    client.write_all(b"kept").unwrap();
    let mut io = Io::new(server);
    assert!(read_once(&mut io, 0).await.unwrap().is_empty());
    assert_eq!(read_once(&mut io, 16).await.unwrap(), b"kept");
}

#[runtime::test]
async fn an_upload_takes_one_read_for_more_than_128_kib_on_average() {
    const LEN: usize = 32 << 20;
    let (mut client, server) = pair().await;
    client.set_nonblocking(true).unwrap();
    // hyper makes a frame of what it read at once.
    let frames = Rc::new(Cell::new(0));
    let count = |request: Request<Incoming>| {
        let frames = frames.clone();
        async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                frame.unwrap();
                frames.set(frames.get() + 1);
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    };
    let serving = http1::Builder::new().serve_connection(Io::new(server), service_fn(count));
    let mut serving = Box::pin(serving);
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LEN}\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();

    // The client fills the buffers of the sockets, then the server empties them, and so on.
    let piece = vec![b'b'; 1 << 20];
    let (mut sent, mut polls) = (0, 0);
    while sent < LEN {
        match client.write(&piece[..piece.len().min(LEN - sent)]) {
            Ok(n) => sent += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                assert!(poll_once(serving.as_mut()).await.is_none());
                polls += 1;
                runtime::task::yield_now().await;
            }
            Err(e) => panic!("{e}"),
        }
    }
    let frames = frames.get();
    assert!(frames <= LEN as u64 / (128 << 10), "{frames} frames");
    println!("{frames} frames, {polls} polls");
}

#[cfg(target_os = "linux")]
#[test]
fn an_upload_takes_one_receive_a_frame_and_at_most_one_more_a_poll() {
    let name = "an_upload_takes_one_read_for_more_than_128_kib_on_average";
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=recvfrom"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: counting system calls needs strace, which is not installed");
        return;
    };
    let (said, traced) = (text(output.stdout), text(output.stderr));
    if !said.contains("frames") && traced.contains("ptrace") {
        eprintln!("SKIPPED: strace may not trace here");
        return;
    }
    assert!(output.status.success(), "{said}{traced}");
    let number_of = |what: &str| -> usize {
        let before = said.split(what).next().unwrap();
        let number = before.rsplit(|c: char| !c.is_ascii_digit()).next();
        number.unwrap().parse().unwrap()
    };
    let (frames, polls) = (number_of(" frames"), number_of(" polls"));
    let received = traced
        .lines()
        .filter(|line| line.contains("recvfrom("))
        .count();
    // At most one receive of a poll finds nothing.
    assert!(
        received >= frames && received <= frames + polls,
        "{received} receives, {frames} frames, {polls} polls"
    );
}

#[cfg(target_os = "linux")]
fn text(output: Vec<u8>) -> String {
    String::from_utf8_lossy(&output).into_owned()
}
