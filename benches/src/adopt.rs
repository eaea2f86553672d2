//! The cost of building a minimal echo server: seconds, crates, bytes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{fs, io};

use crate::results::{Results, folder};

const RUNTIME: &str = r#"
use runtime::{io, net::TcpListener};
#[runtime::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        runtime::spawn(async move {
            let (reader, writer) = stream.split();
            let _ = io::copy(reader, writer).await;
        });
    }
}
"#;

const THREADS: &str = r#"
use std::{io, net::TcpListener, thread};
fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080")?;
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || {
            let _ = io::copy(&mut &stream, &mut &stream);
        });
    }
}
"#;

const TOKIO: &str = r#"
use tokio::{io, net::TcpListener};
fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:8080").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = io::copy(&mut reader, &mut writer).await;
            });
        }
    })
}
"#;

const SMOL: &str = r#"
use smol::{io, net::TcpListener, LocalExecutor};
fn main() -> io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = TcpListener::bind("127.0.0.1:8080").await?;
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(async move {
                let _ = io::copy(stream.clone(), stream).await;
            }).detach();
        }
    }))
}
"#;

const MONOIO: &str = r#"
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::{net::TcpListener, LegacyDriver, RuntimeBuilder};
fn main() -> std::io::Result<()> {
    RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:8080")?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            monoio::spawn(async move {
                let mut buffer = Vec::with_capacity(4096);
                loop {
                    let (read, filled) = stream.read(buffer).await;
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    let (written, emptied) = stream.write_all(filled).await;
                    if written.is_err() {
                        return;
                    }
                    buffer = emptied;
                    buffer.clear();
                }
            });
        }
    })
}
"#;

const COMPIO: &str = r#"
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::{net::TcpListener, runtime::{Runtime, spawn}, BufResult};
fn main() -> std::io::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:8080").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            spawn(async move {
                let mut buffer = Vec::with_capacity(4096);
                loop {
                    let BufResult(read, filled) = stream.read(buffer).await;
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    let BufResult(written, emptied) = stream.write_all(filled).await;
                    if written.is_err() {
                        return;
                    }
                    buffer = emptied;
                    buffer.clear();
                }
            })
            .detach();
        }
    })
}
"#;

/// Name, dependency with the necessary features, and source of each server. `bare` uses std's
/// threads.
const SERVERS: [(&str, &str, &str); 6] = [
    ("bare", "", THREADS),
    (
        "runtime",
        "runtime = { package = \"uniloop\", path = \"ROOT\", default-features = false }",
        RUNTIME,
    ),
    (
        "tokio",
        "tokio = { version = \"1.54\", features = [\"rt\", \"net\", \"io-util\"] }",
        TOKIO,
    ),
    ("smol", "smol = \"2\"", SMOL),
    (
        "monoio",
        "monoio = { version = \"0.2.4\", default-features = false, features = [\"legacy\"] }",
        MONOIO,
    ),
    (
        "compio",
        "compio = { version = \"0.19\", default-features = false, \
         features = [\"runtime\", \"net\", \"io\", \"polling\"] }",
        COMPIO,
    ),
];

const MANIFEST: &str = r#"[package]
name = "echo"
version = "0.0.0"
edition = "2024"

[workspace]

[profile.release]
lto = "thin"
codegen-units = 1
strip = true

[dependencies]
"#;

fn cargo(folder: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let error = text.lines().find(|line| line.starts_with("error"));
        return Err(io::Error::other(error.unwrap_or("cargo failed").to_owned()));
    }
    Ok(text)
}

/// Builds one server from scratch and returns KiB, seconds and crates.
fn build(name: &str, dependency: &str, source: &str) -> io::Result<[f64; 3]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let folder = folder().join("adopt").join(name);
    fs::create_dir_all(folder.join("src"))?;
    let dependency = dependency.replace("ROOT", &root.to_string_lossy());
    fs::write(
        folder.join("Cargo.toml"),
        format!("{MANIFEST}{dependency}\n"),
    )?;
    fs::write(folder.join("src/main.rs"), source)?;
    cargo(&folder, &["fetch"])?;
    let _ = fs::remove_dir_all(folder.join("target"));
    let start = Instant::now();
    let text = cargo(&folder, &["build", "--release", "--offline"])?;
    let seconds = start.elapsed().as_secs_f64();
    let compiled = text
        .lines()
        .filter(|line| line.trim_start().starts_with("Compiling"));
    let crates = compiled.count() - 1;
    let size = fs::metadata(folder.join("target/release/echo"))?.len();
    fs::remove_dir_all(folder.join("target"))?;
    Ok([size as f64 / 1024.0, seconds, crates as f64])
}

/// The dependency with the default features of `runtime`.
const WITH_DEFAULTS: &str = "runtime = { package = \"uniloop\", path = \"ROOT\" }";

pub(crate) fn run(rounds: usize) -> Results {
    let mut results = Results::new("adopt");
    for round in 0..rounds {
        let minimal =
            SERVERS.map(|(name, dependency, source)| ("minimal", name, dependency, source));
        let ours = ("default features", "runtime", WITH_DEFAULTS, RUNTIME);
        for (row, name, dependency, source) in minimal.into_iter().chain([ours]) {
            eprintln!("adopt {}/{rounds}: {name}, {row}", round + 1);
            match build(name, dependency, source) {
                Err(e) => eprintln!("  failed: {e}"),
                Ok(costs) => {
                    for (figure, cost) in ["kib", "seconds", "crates"].into_iter().zip(costs) {
                        results.add(round, row, figure, name, cost);
                    }
                }
            }
        }
    }
    results
}
