//! A UDP server that sends each datagram back to its sender, in batches where the system has a call
//! for them. It prints the address it listens on, and errors of single datagrams.
//!
//! Run with:
//!
//!     cargo run --example udp_echo
//!
//! and send something to it:
//!
//!     nc -u 127.0.0.1 8080

mod common;

use std::process::ExitCode;

use common::Arguments;
use runtime::io::{self, IoSliceMut};
use runtime::net::UdpSocket;
use runtime::net::udp::{Received, Transmit};
use runtime::time::{Duration, sleep};

/// The maximum number of datagrams received in one call.
const BATCH: usize = 16;
/// The buffer size for a datagram: one byte more than the largest IPv4 payload.
const MAX_DATAGRAM: usize = 65508;
/// The number of failures in a row after which receiving is given up.
const MAX_FAILURES: u32 = 100;
/// The pause after a failure, so that one that persists does not take all CPU time.
const PAUSE: Duration = Duration::from_millis(10);

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
    common::print_line(format_args!("listening on {}", socket.local_addr()?));
    let mut memory = vec![0; BATCH * MAX_DATAGRAM];
    let mut received = [Received::default(); BATCH];
    let mut failures = 0;
    loop {
        let mut bufs: Vec<_> = memory
            .chunks_mut(MAX_DATAGRAM)
            .map(IoSliceMut::new)
            .collect();
        let n = match socket.recv_batch(&mut bufs, &mut received).await {
            Ok(n) => n,
            // Most errors concern one peer: an ICMP message that answers an earlier datagram.
            Err(e) if failures < MAX_FAILURES => {
                failures += 1;
                common::print_error(format_args!("receiving: {e}"));
                sleep(PAUSE).await;
                continue;
            }
            Err(e) => return Err(e),
        };
        failures = 0;
        let answers: Vec<Transmit<'_>> = memory
            .chunks(MAX_DATAGRAM)
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
            // An error for one destination does not stop the other datagrams.
            Err(e) => {
                common::print_error(format_args!("{:?}: {e}", first.destination));
                1
            }
        };
        answers = &answers[sent..];
    }
}
