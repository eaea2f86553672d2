//! The number of system calls of a relay, counted by strace.

// Elsewhere there is neither strace nor a receive that discards what it counts.
#![cfg(target_os = "linux")]

mod support;

use std::env;
use std::pin::{Pin, pin};
use std::process::{Command, Stdio};

use futures_lite::future::poll_once;
use runtime::io::copy;
use runtime::net::forward;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use support::relays::wide_pair;

const MIB: usize = 64;

/// Moves bytes through a relay that always has much to read and room to write.
#[runtime::test]
#[ignore = "run by the other test, under strace"]
async fn moves_megabytes() {
    let (client, front) = wide_pair().await;
    let (back, server) = wide_pair().await;
    let moving: Pin<Box<dyn Future<Output = _>>> = match env::var("RELAY_BY").as_deref() {
        Ok("copy") => Box::pin(copy(&front, &back)),
        _ => Box::pin(forward(&front, &back)),
    };
    let piece = vec![0; 1 << 20];
    let mut buffer = vec![0; 8 << 20];
    let (mut sent, mut received) = (0, 0);
    let mut moving = pin!(moving);
    while received < MIB << 20 {
        // These two calls have a flag that those of the relay do not have.
        while sent < MIB << 20 && sent - received < 2 << 20 {
            match send(&client, &piece, SendFlags::DONTWAIT | SendFlags::DONTROUTE) {
                Ok(n) => sent += n,
                Err(_) => break,
            }
        }
        for _ in 0..4 {
            assert!(poll_once(moving.as_mut()).await.is_none());
            runtime::task::yield_now().await;
        }
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        while let Ok((_, n)) = recv(&server, &mut buffer[..], flags) {
            received += n;
        }
    }
}

fn calls_of(by: &str) -> Option<Vec<String>> {
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=splice,recvfrom,read,sendto,write"])
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "moves_megabytes"])
        .env("RELAY_BY", by)
        .stdout(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    // The calls between the first and the last one of the relay's client.
    let is_load = |line: &&str| line.contains("MSG_DONTROUTE") || line.contains("MSG_TRUNC");
    let first = text.lines().position(|line| is_load(&line))?;
    let last = text.lines().count() - text.lines().rev().position(|line| is_load(&line))?;
    let lines = text.lines().take(last).skip(first);
    let calls = lines.filter(|line| !is_load(line) && line.contains('('));
    Some(calls.map(str::to_owned).collect())
}

#[test]
fn a_busy_direction_takes_a_few_system_calls_a_mebibyte() {
    let (Some(spliced), Some(copied)) = (calls_of("splice"), calls_of("copy")) else {
        eprintln!("SKIPPED: counting system calls needs strace, which is not installed");
        return;
    };
    let per_mib = |calls: &[String]| calls.len() as f64 / MIB as f64;
    let (spliced, copied) = (per_mib(&spliced), per_mib(&copied));
    eprintln!("{spliced:.2} system calls a MiB by splice, {copied:.2} by copying");
    assert!(spliced < 8.0, "{spliced:.2} system calls a MiB");
    assert!(copied < 40.0, "{copied:.2} system calls a MiB");
}
