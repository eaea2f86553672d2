//! A program with a slow task, and the page that shows it.
//!
//! The tasks wait for timers, sockets, a thread, each other and a lock. One of them, `slow report`,
//! computes for 60 ms in each second and keeps the thread from all others in the meantime, which
//! the page marks. It prints the address of the page and runs until it is ended.
//!
//! Run with:
//!
//!     cargo run -p uniloop-console --example console
//!     cargo run -p uniloop-console --example console -- 6669   # on this port

use std::future::pending;
use std::net::SocketAddr;
use std::time::Instant;
use std::{env, thread};

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::task::Builder;
use runtime::time::{Duration, interval, sleep, timeout};
use runtime::{Runtime, io, spawn, spawn_blocking};
use runtime_console::StallLog;

/// The duration of the slow poll.
const SLOW: Duration = Duration::from_millis(60);

/// The number of connections that send a byte now and then.
const CONNECTIONS: u64 = 12;

fn main() -> io::Result<()> {
    let port = match env::args().nth(1) {
        None => 0,
        Some(port) => port.parse().map_err(|e| {
            let text = format!("usage: console [PORT]: {port:?} is not a port: {e}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?,
    };
    let stalls = StallLog::new();
    let log = stalls.clone();
    let runtime = Runtime::builder()
        .name("example")
        .track_tasks(true)
        .on_stall(SLOW / 2, move |stall| log.record(stall))
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("see http://{}/", listener.local_addr()?);
        runtime_console::Builder::new()
            .stalls(stalls)
            .spawn(listener)?;
        start_workload().await?;
        pending().await
    })
}

async fn start_workload() -> io::Result<()> {
    drop(Builder::new().name("slow report").spawn(slow_report()));
    let ticks = Builder::new().name("ticker").spawn(async {
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
        }
    });
    drop(Builder::new().name("waits for the ticker").spawn(async {
        let _: Result<(), _> = ticks.await;
    }));
    drop(Builder::new().name("backup").spawn(async {
        let copied = spawn_blocking(|| thread::sleep(Duration::from_secs(3600)));
        let _ = copied.await;
    }));
    drop(
        Builder::new()
            .name("waits for a channel")
            .spawn(pending::<()>()),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(Builder::new().name("echo server").spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn(echo(stream));
        }
    }));
    for number in 0..CONNECTIONS {
        let name = format!("client {number}");
        let pause = Duration::from_millis(150 + 50 * number);
        drop(Builder::new().name(&name).spawn(client(address, pause)));
    }
    Ok(())
}

/// Keeps the thread for a while in each second.
async fn slow_report() {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        let begin = Instant::now();
        while begin.elapsed() < SLOW {
            std::hint::spin_loop();
        }
    }
}

/// Sends a byte and waits for its echo, again and again.
async fn client(address: SocketAddr, pause: Duration) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let mut reply = [0];
    loop {
        stream.write_all(b"x").await?;
        stream.read_exact(&mut reply).await?;
        sleep(pause).await;
    }
}

/// Sends back what it receives, until a minute passes without data.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while let Ok(read) = timeout(Duration::from_secs(60), stream.read(&mut buffer)).await {
        match read? {
            0 => break,
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
    Ok(())
}
