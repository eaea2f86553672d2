//! `net::relay` and `net::forward`.

mod support;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::task::Poll;

use futures_lite::future::poll_once;
use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, UnixStream, forward, pipe, relay};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use support::relays::{self, Random, stream_of, wide_pair};

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (a, b) = runtime::join!(TcpStream::connect(address), listener.accept());
    (a.unwrap(), b.unwrap().0)
}

/// Writes as many of `bytes` as fit, without the reactor.
fn fill(stream: &TcpStream, bytes: &[u8]) -> usize {
    let mut sent = 0;
    // A connection within the machine delivers at once, perhaps by another thread of the kernel.
    for _ in 0..100 {
        while let Ok(n) = send(stream, &bytes[sent..], SendFlags::DONTWAIT) {
            sent += n;
            if sent == bytes.len() {
                return sent;
            }
        }
        std::thread::yield_now();
    }
    sent
}

/// Reads what has arrived, without the reactor.
fn take(stream: &TcpStream, into: &mut Vec<u8>) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok((n @ 1.., _)) = recv(stream, &mut buffer[..], RecvFlags::DONTWAIT) {
        into.extend_from_slice(&buffer[..n]);
    }
}

#[runtime::test]
async fn random_schedules_arrive_byte_by_byte_over_tcp() {
    relays::run(1, 12, async || (tcp_pair().await, tcp_pair().await)).await;
}

#[runtime::test]
async fn random_schedules_arrive_byte_by_byte_over_unix_sockets() {
    let pair = || UnixStream::pair().unwrap();
    relays::run(2, 12, async || (pair(), pair())).await;
}

#[runtime::test]
async fn random_schedules_arrive_byte_by_byte_between_tcp_and_unix_sockets() {
    relays::run(3, 12, async || {
        (tcp_pair().await, UnixStream::pair().unwrap())
    })
    .await;
}

#[runtime::test]
async fn a_half_closed_connection_stays_half_closed() {
    let (mut client, mut front) = tcp_pair().await;
    let (mut back, mut server) = tcp_pair().await;
    let relaying = runtime::spawn(async move { relay(&mut front, &mut back).await });
    let question = stream_of(1, 3_000_000);
    let (sent, received) = runtime::join!(
        async {
            client.write_all(&question).await?;
            client.close().await
        },
        async {
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.unwrap();
            received
        }
    );
    sent.unwrap();
    assert!(received == question);
    server.write_all(b"the answer").await.unwrap();
    server.close().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"the answer");
    assert_eq!(relaying.await.unwrap().unwrap(), (3_000_000, 10));
}

#[runtime::test]
async fn ends_without_bytes_are_forwarded() {
    let (mut client, mut front) = tcp_pair().await;
    let (mut back, mut server) = tcp_pair().await;
    let relaying = runtime::spawn(async move { relay(&mut front, &mut back).await });
    client.close().await.unwrap();
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    drop(server);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(relaying.await.unwrap().unwrap(), (0, 0));
}

/// Moves megabytes from `reader`, into which `feed` leads, to `writer`, which leads to `drain`.
async fn forward_megabytes<F, R, W, D>(mut feed: F, reader: R, writer: W, mut drain: D)
where
    F: AsyncWrite + Unpin,
    R: runtime::net::SpliceRead,
    W: runtime::net::SpliceWrite,
    D: AsyncRead + Unpin,
{
    let data = stream_of(7, 4_000_000);
    let sending = async {
        feed.write_all(&data).await.unwrap();
        feed.close().await.unwrap();
        drop(feed);
    };
    let receiving = async {
        let mut received = vec![0; data.len()];
        drain.read_exact(&mut received).await.unwrap();
        received
    };
    let ((), forwarded, received) = runtime::join!(sending, forward(reader, writer), receiving);
    assert_eq!(forwarded.unwrap(), 4_000_000);
    assert!(received == data);
}

#[runtime::test]
async fn every_pair_of_sockets_halves_and_pipes_forwards() {
    let (feed, reader) = pipe::pipe().unwrap();
    let (writer, drain) = pipe::pipe().unwrap();
    forward_megabytes(feed, reader, writer, drain).await;

    let (feed, reader) = pipe::pipe().unwrap();
    let (writer, drain) = tcp_pair().await;
    forward_megabytes(feed, reader, writer, drain).await;

    let (feed, reader) = UnixStream::pair().unwrap();
    let (writer, drain) = pipe::pipe().unwrap();
    forward_megabytes(feed, &reader, &writer, drain).await;

    let (feed, mut stream) = tcp_pair().await;
    let (writer, drain) = UnixStream::pair().unwrap();
    let (_reader, mut writer) = writer.into_split();
    forward_megabytes(feed, &mut stream, &mut writer, drain).await;

    let (feed, stream) = tcp_pair().await;
    let (other, drain) = tcp_pair().await;
    let (reader, _) = stream.split();
    let (_, writer) = other.split();
    forward_megabytes(feed, reader, writer, drain).await;
}

#[runtime::test]
async fn urgent_data_does_not_hide_the_bytes_behind_it() {
    let (client, front) = wide_pair().await;
    let (back, mut server) = wide_pair().await;
    let bulk = stream_of(3, 200_000);
    assert_eq!(fill(&client, &bulk), bulk.len());
    assert_eq!(client.try_write(b"before").unwrap(), 6);
    let client = client.into_std();
    send(&client, b"!", SendFlags::OOB).unwrap();
    assert_eq!(send(&client, b"behind", SendFlags::empty()), Ok(6));
    let forwarding = runtime::spawn(async move { forward(front, back).await });
    let mut received = vec![0; bulk.len() + 12];
    server.read_exact(&mut received).await.unwrap();
    assert!(received[..bulk.len()] == bulk);
    assert_eq!(&received[bulk.len()..], b"beforebehind");
    drop(client);
    assert_eq!(forwarding.await.unwrap().unwrap(), received.len() as u64);
}

#[runtime::test]
async fn a_peer_that_is_gone_is_an_error_and_its_answer_is_forwarded() {
    let (client, mut front) = tcp_pair().await;
    let (mut back, mut server) = tcp_pair().await;
    // The server answers without reading the request, and closes: the rest of it is refused.
    server.write_all(b"refused").await.unwrap();
    drop(server);
    let relaying = runtime::spawn(async move {
        let result = relay(&mut front, &mut back).await;
        drop((front, back));
        result
    });
    let data = stream_of(5, 1_000_000);
    let mut answer = Vec::new();
    let (_, _) = runtime::join!(client.clone_write(&data), async {
        let mut byte = [0];
        while let Ok(1) = (&client).read(&mut byte).await {
            answer.push(byte[0]);
        }
    });
    let error = relaying.await.unwrap().unwrap_err();
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_eq!(answer, b"refused");
}

#[runtime::test]
async fn bytes_in_the_pipe_are_kept_while_the_writer_waits() {
    let (client, front) = wide_pair().await;
    let (back, server) = tcp_pair().await;
    let data = stream_of(9, 32 << 20);
    let mut sent = 0;
    let mut received = Vec::new();
    let mut forwarding = pin!(forward(&front, &back));
    let mut is_done = false;
    let mut random = Random::new(11);
    while received.len() < data.len() {
        sent += fill(&client, &data[sent..]);
        if sent == data.len() {
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        // The reader stalls in between, so that bytes wait in the pipe.
        for _ in 0..random.below(4) {
            is_done = is_done || poll_once(forwarding.as_mut()).await.is_some();
            runtime::task::yield_now().await;
        }
        if random.below(3) != 0 || sent == data.len() {
            take(&server, &mut received);
        }
    }
    assert!(received == data);
    if !is_done {
        assert_eq!(forwarding.await.unwrap(), data.len() as u64);
    }
}

#[runtime::test]
async fn one_poll_moves_little_more_than_a_megabyte() {
    let (client, front) = wide_pair().await;
    let (back, server) = wide_pair().await;
    let data = stream_of(13, 8 << 20);
    let sent = fill(&client, &data);
    let mut forwarding = pin!(forward(&front, &back));
    let mut is_woken = false;
    poll_fn(|cx| {
        // The waker is called at once if the future has yielded.
        let flag = std::sync::Arc::new(Flag::default());
        let waker = std::task::Waker::from(flag.clone());
        let mut cx_of_the_future = std::task::Context::from_waker(&waker);
        assert!(forwarding.as_mut().poll(&mut cx_of_the_future).is_pending());
        is_woken = flag.0.load(std::sync::atomic::Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await;
    let mut received = Vec::new();
    take(&server, &mut received);
    assert!(received.len() <= 5 << 19, "{} of {sent}", received.len());
    if sent > 5 << 19 {
        assert!(is_woken, "{} of {sent}", received.len());
    }
    assert!(received == data[..received.len()]);
}

#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: std::sync::Arc<Flag>) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[runtime::test]
async fn a_relay_between_threads_is_send() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let (a, b) = UnixStream::pair().unwrap();
    let (mut one, mut two) = (UnixStream::pair().unwrap().0, UnixStream::pair().unwrap().0);
    let _ = poll_once(is_send(forward(&a, &b))).await;
    let _ = poll_once(is_send(relay(&mut one, &mut two))).await;
    assert_ne!(a.as_raw_fd(), b.as_raw_fd());
}

/// Writing through a shared reference, while another future reads.
trait CloneWrite {
    async fn clone_write(&self, data: &[u8]) -> io::Result<()>;
}

impl CloneWrite for TcpStream {
    async fn clone_write(&self, data: &[u8]) -> io::Result<()> {
        let mut stream = self;
        stream.write_all(data).await
    }
}
