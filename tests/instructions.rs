//! The number of user-space instructions for an echoed request, counted by callgrind. Unlike time,
//! it is stable on a shared machine.
//!
//! Run with: `cargo test --release --test instructions`

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::{env, fs};

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpListener;

/// The limit: the current count and a twentieth for other compilers. There is one connection, so
/// each request includes a whole turn of the reactor. Lower it when the count improves.
const MAX_INSTRUCTIONS: u64 = 970;

const MESSAGE: [u8; 64] = [b'x'; 64];

/// The line that the server prints once its task waits for the first request.
const WAITS: &str = "waits";

#[test]
fn a_request_takes_no_more_instructions_than_the_limit() {
    if cfg!(debug_assertions) {
        eprintln!("SKIPPED: only optimized code is counted (cargo test --release)");
        return;
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    if !valgrind.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: valgrind is not installed");
        return;
    }
    let (few, many) = (1_000, 5_000);
    let each = (instructions_of(many) - instructions_of(few)) / (many - few);
    println!("{each} instructions a request");
    assert!(
        each <= MAX_INSTRUCTIONS,
        "{each} instructions a request, at most {MAX_INSTRUCTIONS} are allowed"
    );
}

/// Returns the instructions of a server process that answers `requests` requests.
fn instructions_of(requests: u64) -> u64 {
    let counts = env::temp_dir().join(format!("instructions.{}.{requests}", std::process::id()));
    let mut server = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "serves_one_connection",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.ok()?.split("port ").nth(1)?.parse::<u16>().ok());
    let mut stream = TcpStream::connect(("127.0.0.1", port.unwrap())).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reply = MESSAGE;
    // Requests sent before the server waits could be served without a turn between them.
    assert!(lines.any(|line| line.unwrap().ends_with(WAITS)));
    for _ in 0..requests {
        stream.write_all(&MESSAGE).unwrap();
        stream.read_exact(&mut reply).unwrap();
    }
    drop(stream);
    // Read the rest of its output, or the server would get EPIPE.
    lines.for_each(drop);
    assert!(server.wait().unwrap().success());
    let text = fs::read_to_string(&counts).unwrap();
    fs::remove_file(&counts).unwrap();
    let sum = text.lines().find_map(|line| {
        let sum = line
            .strip_prefix("summary: ")
            .or(line.strip_prefix("totals: "));
        sum?.trim().parse().ok()
    });
    sum.expect("callgrind printed a total")
}

#[test]
#[ignore = "the other test starts it under callgrind"]
fn serves_one_connection() -> io::Result<()> {
    runtime::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("port {}", listener.local_addr()?.port());
        let (mut stream, _) = listener.accept().await?;
        let served = runtime::spawn(async move {
            let mut buffer = vec![0; 4096];
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..read]).await?;
            }
        });
        runtime::task::yield_now().await;
        println!("{WAITS}");
        served.await.unwrap()
    })
}
