//! Programs started by this process inherit none of the runtime's descriptors. A separate binary,
//! because it counts the descriptors of the process.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use runtime::fs::File;
use runtime::io::AsyncWriteExt;
use runtime::net::{TcpListener, TcpSocket, TcpStream};
use runtime::process::{Command, Stdio};
use runtime::time::timeout;
use runtime::{Backend, Runtime};

/// Returns the open descriptors and whether each is closed on exec.
fn descriptors() -> Vec<(i32, bool)> {
    let flags = |fd| {
        // SAFETY: F_GETFD takes no pointer; for a closed descriptor it returns EBADF.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        (flags != -1).then_some((fd, flags & libc::FD_CLOEXEC != 0))
    };
    (0..1024).filter_map(flags).collect()
}

#[test]
fn every_descriptor_is_closed_on_exec() {
    let before = descriptors();
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let shared = TcpListener::bind_shared("127.0.0.1:0").await.unwrap();
            let connected = TcpStream::connect(listener.local_addr().unwrap()).await;
            let accepted = listener.accept().await.unwrap();
            let socket = TcpSocket::new_v4().unwrap();
            let mut ctrl_c = pin!(runtime::signal::ctrl_c());
            let _ = ctrl_c
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            let mut child = Command::new("cat");
            child.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = child.kill_on_drop(true).spawn().unwrap();
            let input = child.stdin.take();
            let waited = timeout(Duration::from_millis(1), child.wait()).await;
            assert!(waited.is_err(), "the child is being watched");
            let file = File::open("/").await.unwrap();
            let mut stderr = runtime::io::stderr();
            stderr.write_all(b"\n").await.unwrap();
            let watched = runtime.pollable_fd().is_ok();
            let during = descriptors();
            let new: Vec<_> = during.iter().filter(|fd| !before.contains(fd)).collect();
            // The reactor's two and the pidfd (a kqueue reports the exit itself and is the only
            // one), five sockets, two for the signal, two pipes, a file, a standard error, and the
            // one that a foreign loop polls.
            let reactors = match backend {
                Backend::Kqueue => 1,
                _ => 3,
            };
            assert!(new.len() >= reactors + 10 + usize::from(watched), "{new:?}");
            assert!(new.iter().all(|(_, closed)| *closed), "{new:?}");
            drop((shared, connected, accepted, socket, input, file, stderr));
        });
        drop(runtime);
    }
}
