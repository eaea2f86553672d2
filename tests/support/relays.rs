//! Random schedules for relays.

use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use runtime::net::{SpliceRead, SpliceWrite, TcpSocket, TcpStream, relay};
use runtime::task::{JoinSet, yield_now};

/// A generator of pseudo-random numbers (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Returns the bytes of a stream, in which no part equals another.
pub(crate) fn stream_of(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let words = std::iter::repeat_with(|| random.next()).take(len.div_ceil(8));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}

/// Returns a connection whose second end receives megabytes before anything is read.
pub(crate) async fn wide_pair() -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 20).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let (a, b) = runtime::join!(TcpStream::connect(address), listener.accept());
    (a.unwrap(), b.unwrap().0)
}

/// Returns a length of which some are zero, some short and some long.
fn random_len(random: &mut Random) -> usize {
    match random.below(6) {
        0 => 0,
        1 => random.below(100),
        2 => random.below(70_000),
        _ => random.below(3_000_000),
    }
}

async fn stall(random: &mut Random) {
    if random.below(4) == 0 {
        for _ in 0..random.below(60) {
            yield_now().await;
        }
    }
}

/// Writes `data` in random pieces and closes the writing half.
async fn write_all<W: AsyncWrite + Unpin>(mut writer: W, data: &[u8], mut random: Random) {
    let longest = [100, 5_000, 300_000][random.below(3)];
    let mut rest = if longest == 100 {
        &data[..data.len().min(20_000)]
    } else {
        data
    };
    let end = &data[rest.len()..];
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(1 + random.below(rest.len().min(longest)));
        writer.write_all(piece).await.unwrap();
        stall(&mut random).await;
        rest = after;
    }
    writer.write_all(end).await.unwrap();
    writer.close().await.unwrap();
}

/// Reads everything in random pieces.
async fn read_all<R: AsyncRead + Unpin>(mut reader: R, mut random: Random) -> Vec<u8> {
    let longest = [3_000, 50_000, 1_000_000][random.below(3)];
    let mut piece = vec![0; longest];
    let mut received = Vec::new();
    loop {
        let n = reader.read(&mut piece[..1 + random.below(longest)]).await;
        match n.unwrap() {
            0 => return received,
            n => received.extend_from_slice(&piece[..n]),
        }
        stall(&mut random).await;
    }
}

/// Relays `count` connections at once, both sides of which write and read by random schedules, and
/// checks every byte. `connect` returns the client and the relay's side of it, and the relay's side
/// of the server and the server.
pub(crate) async fn run<S, T>(seed: u64, count: u64, connect: impl AsyncFn() -> ((S, S), (T, T)))
where
    S: SpliceRead + SpliceWrite + Unpin + 'static,
    T: SpliceRead + SpliceWrite + Unpin + 'static,
    for<'s> &'s S: AsyncRead + AsyncWrite + Unpin,
    for<'s> &'s T: AsyncRead + AsyncWrite + Unpin,
{
    let mut connections = JoinSet::new();
    for number in 0..count {
        let ((client, mut front), (mut back, server)) = connect().await;
        connections.spawn(async move {
            let seed = seed * 1_000 + number;
            let mut random = Random::new(seed);
            let question = stream_of(seed, random_len(&mut random));
            let answer = stream_of(seed + 500, random_len(&mut random));
            let relaying = runtime::spawn(async move { relay(&mut front, &mut back).await });
            let mut random = || Random::new(random.next());
            let (to_client, to_server, ..) = runtime::join!(
                read_all(&client, random()),
                read_all(&server, random()),
                write_all(&client, &question, random()),
                write_all(&server, &answer, random()),
            );
            assert!(to_server == question, "to the server, connection {number}");
            assert!(to_client == answer, "to the client, connection {number}");
            let forwarded = relaying.await.unwrap().unwrap();
            assert_eq!(forwarded, (question.len() as u64, answer.len() as u64));
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended.unwrap();
    }
}
