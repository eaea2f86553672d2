//! The number of system calls of a relay, counted by strace.

// Elsewhere there is neither strace nor a receive that discards what it counts.
#![cfg(target_os = "linux")]

mod support;

use std::env;
use std::pin::{Pin, pin};
use std::process::{Command, Stdio};

use futures_lite::future::poll_once;
use runtime::io::{copy, copy_bidirectional};
use runtime::net::{forward, relay};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use support::relays::wide_pair;

const MIB: usize = 64;
const MESSAGES: usize = 200;

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

/// Moves short messages there and back through a relay that waits for each.
#[runtime::test]
#[ignore = "run by the other test, under strace"]
async fn moves_messages() {
    let (client, mut front) = wide_pair().await;
    let (mut back, server) = wide_pair().await;
    let moving: Pin<Box<dyn Future<Output = _>>> = match env::var("RELAY_BY").as_deref() {
        Ok("copy") => Box::pin(copy_bidirectional(&mut front, &mut back)),
        _ => Box::pin(relay(&mut front, &mut back)),
    };
    let mut moving = pin!(moving);
    assert!(poll_once(moving.as_mut()).await.is_none());
    for n in 0..MESSAGES {
        let (from, to) = if n % 2 == 0 {
            (&client, &server)
        } else {
            (&server, &client)
        };
        let flags = SendFlags::DONTWAIT | SendFlags::DONTROUTE;
        assert_eq!(send(from, &[0; 64], flags).unwrap(), 64);
        let (mut buffer, flags) = ([0; 100], RecvFlags::DONTWAIT | RecvFlags::TRUNC);
        while recv(to, &mut buffer[..], flags).is_err() {
            runtime::task::yield_now().await;
            assert!(poll_once(moving.as_mut()).await.is_none());
        }
    }
}

/// Returns the calls that the relay of `test` makes. It is on epoll, which reports a message once.
fn calls_of(test: &str, by: &str) -> Option<Vec<String>> {
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=splice,recvfrom,read,sendto,write"])
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env("RELAY_BY", by)
        .env("RUNTIME_BACKEND", "epoll")
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
    let test = "moves_megabytes";
    let (Some(spliced), Some(copied)) = (calls_of(test, "splice"), calls_of(test, "copy")) else {
        eprintln!("SKIPPED: counting system calls needs strace, which is not installed");
        return;
    };
    let per_mib = |calls: &[String]| calls.len() as f64 / MIB as f64;
    let (spliced, copied) = (per_mib(&spliced), per_mib(&copied));
    eprintln!("{spliced:.2} system calls a MiB by splice, {copied:.2} by copying");
    assert!(spliced < 8.0, "{spliced:.2} system calls a MiB");
    assert!(copied < 40.0, "{copied:.2} system calls a MiB");
}

#[test]
fn a_short_message_takes_one_receive_and_one_send() {
    for by in ["splice", "copy"] {
        let Some(calls) = calls_of("moves_messages", by) else {
            eprintln!("SKIPPED: counting system calls needs strace, which is not installed");
            return;
        };
        let number_of = |name: &str| calls.iter().filter(|call| call.contains(name)).count();
        assert_eq!(number_of("recvfrom("), MESSAGES, "{calls:#?}");
        assert_eq!(number_of("sendto("), MESSAGES, "{calls:#?}");
        assert_eq!(calls.len(), 2 * MESSAGES, "{calls:#?}");
    }
}
