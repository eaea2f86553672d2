//! A UDP server that sends every datagram back to where it came from, as many as there are at a time.
//!
//! Run with:
//!
//!     cargo run --example udp_echo
//!
//! and talk to it:
//!
//!     nc -u 127.0.0.1 8080

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io::{self, IoSliceMut};
use runtime::net::UdpSocket;
use runtime::net::udp::{Received, Transmit};

/// So many datagrams are taken in one call, where the system has such a call.
const BATCH: usize = 16;
/// The longest datagram there is over IPv4, and a byte more.
const LONGEST: usize = 65508;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("udp_echo [--listen ADDR]");
    let address = arguments.address("--listen");
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    common::report("udp_echo", serve(&address).await)
}

async fn serve(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(address).await?;
    common::say(format_args!("listening on {}", socket.local_addr()?));
    let mut memory = vec![0; BATCH * LONGEST];
    let mut received = [Received::default(); BATCH];
    loop {
        let mut bufs: Vec<_> = memory.chunks_mut(LONGEST).map(IoSliceMut::new).collect();
        let n = socket.recv_batch(&mut bufs, &mut received).await?;
        let answers: Vec<Transmit<'_>> = memory
            .chunks(LONGEST)
            .zip(&received[..n])
            .map(|(buf, received)| Transmit::to(&buf[..received.len], received.addr))
            .collect();
        answer(&socket, &answers).await;
    }
}

async fn answer(socket: &UdpSocket, mut answers: &[Transmit<'_>]) {
    while let Some(first) = answers.first() {
        let sent = match socket.send_batch(answers).await {
            Ok(sent) => sent,
            // One that cannot be answered keeps nobody else from it.
            Err(e) => {
                eprintln!("{:?}: {e}", first.destination);
                1
            }
        };
        answers = &answers[sent..];
    }
}
