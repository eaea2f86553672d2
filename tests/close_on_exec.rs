//! What another program is started with: none of our descriptors. A binary of its own, since it
//! counts those of the process.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use runtime::Runtime;
use runtime::net::{TcpListener, TcpSocket, TcpStream};

/// The open descriptors, and whether each is closed on exec.
fn descriptors() -> Vec<(i32, bool)> {
    let flags = |fd| {
        // SAFETY: F_GETFD takes no pointer, and says EBADF of what is not open.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        (flags != -1).then_some((fd, flags & libc::FD_CLOEXEC != 0))
    };
    (0..1024).filter_map(flags).collect()
}

#[test]
fn every_descriptor_is_closed_on_exec() {
    let before = descriptors();
    for &backend in runtime::Backend::available() {
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
            let watched = runtime.as_fd().is_ok();
            let during = descriptors();
            let new: Vec<_> = during.iter().filter(|fd| !before.contains(fd)).collect();
            // The reactor's two, five sockets, the signal's, and what a foreign loop watches.
            assert!(new.len() >= 8 + usize::from(watched), "{new:?}");
            assert!(new.iter().all(|(_, closed)| *closed), "{new:?}");
            drop((shared, connected, accepted, socket));
        });
        drop(runtime);
    }
}
