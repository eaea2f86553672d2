//! No descriptor leaks. One test, since descriptors belong to the whole process.

mod support;

use std::fs::File;
use std::os::fd::AsFd;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::{UdpSocket, UnixDatagram, UnixListener, UnixStream, pipe};
use support::{block_on, connected, open};

fn assert_no_leak<F: Future<Output = ()>>(what: &str, future: F) {
    let before = open();
    block_on(future);
    assert_eq!(open(), before, "{what}");
}

#[test]
fn everything_is_closed_with_its_owner() {
    let before = open();
    let file = File::open("Cargo.toml").unwrap();
    assert_eq!(open(), before, "a regular file may be malloc's");
    drop(file);

    assert_no_leak("tcp", async {
        let (one, two) = connected().await;
        if support::reports_closed() {
            assert!(future::poll_once(Box::pin(one.closed())).await.is_none());
        }
        drop(two);
        assert_eq!(one.closed().await.is_ok(), support::reports_closed());
        let _halves = one.into_split();
    });
    assert_no_leak("udp", async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buf = [0; 4];
        assert!(
            future::poll_once(Box::pin(socket.recv(&mut buf)))
                .await
                .is_none()
        );
        assert!(UdpSocket::bind(socket.local_addr().unwrap()).await.is_err());
        drop(socket.into_std());
    });
    assert_no_leak("unix", async {
        let path = std::env::temp_dir().join(format!("runtime-fds-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(UnixListener::bind(&path).is_err());
        let connect = UnixStream::connect(&path);
        let (mut one, (two, _)) = future::try_zip(connect, listener.accept()).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(UnixStream::connect(&path).await.is_err());
        one.write_all(b"x").await.unwrap();
        let (mut reader, _writer) = two.into_split();
        reader.read_exact(&mut [0]).await.unwrap();
    });
    assert_no_leak("pipes", async {
        let (sender, receiver) = pipe::pipe().unwrap();
        drop(sender);
        assert_eq!(receiver.closed().await.is_ok(), support::reports_closed());
        assert!(pipe::OpenOptions::new().open_sender("/dev/null").is_err());
    });
    assert_no_leak("descriptors that travel", async {
        let null = File::open("/dev/null").unwrap();
        let (one, two) = UnixStream::pair().unwrap();
        let all = vec![null.as_fd(); 200];
        let mut fds = [None];
        // Without a place, skipped by a plain read, with a place, and never received.
        one.send_fds(b"1", &all).await.unwrap();
        assert!(two.recv_fds(&mut [0], &mut []).await.unwrap().is_truncated);
        one.send_fds(b"2", &all).await.unwrap();
        (&two).read_exact(&mut [0]).await.unwrap();
        one.send_fds(b"3", &all).await.unwrap();
        assert!(two.recv_fds(&mut [0], &mut fds).await.unwrap().is_truncated);
        one.send_fds(b"4", &all).await.unwrap();
        let (one, two) = UnixDatagram::pair().unwrap();
        one.send_fds(b"datagram", &all).await.unwrap();
        let cut = two.recv_fds(&mut [0], &mut fds).await.unwrap();
        assert!(cut.is_truncated && cut.fds == 1);
    });
    #[cfg(any(target_os = "linux", target_os = "android"))]
    uninvited_descriptors_are_closed();
    descriptors_beyond_the_limit_are_closed();
}

/// SO_PASSPIDFD adds a descriptor of the sending process to every message.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn uninvited_descriptors_are_closed() {
    let ask = |socket: &dyn AsRawFd| {
        let (fd, on, size) = (socket.as_raw_fd(), 1, size_of::<libc::c_int>());
        let on: *const libc::c_int = &on;
        let option = libc::SO_PASSPIDFD;
        // SAFETY: setsockopt reads one int, which outlives the call.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, on.cast(), size as _) == 0 }
    };
    assert_no_leak("pidfds", async {
        let null = File::open("/dev/null").unwrap();
        let (one, two) = UnixStream::pair().unwrap();
        let mut fds = [None, None];
        if !ask(&two) {
            eprintln!("skipped: this kernel has no SO_PASSPIDFD");
            return;
        }
        one.send_fds(b"1", &[null.as_fd()]).await.unwrap();
        let with_one = two.recv_fds(&mut [0; 4], &mut fds).await.unwrap();
        assert_eq!((with_one.fds, with_one.is_truncated), (1, false));
        let (one, two) = UnixDatagram::pair().unwrap();
        assert!(ask(&two));
        one.send(b"3").await.unwrap();
        let bare = two.recv_fds(&mut [0; 4], &mut fds[1..]).await.unwrap();
        assert_eq!((bare.fds, bare.is_truncated), (0, false));
    });
}

/// The process may open only a few of the descriptors of a message.
fn descriptors_beyond_the_limit_are_closed() {
    assert_no_leak("running out", async {
        let (one, two) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let all = vec![null.as_fd(); 50];
        one.send_fds(b"x", &all).await.unwrap();
        let limit = |to: libc::rlim_t| {
            let mut limits = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            // SAFETY: getrlimit writes one rlimit, which outlives the call.
            let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) };
            assert_eq!(got, 0);
            let before = std::mem::replace(&mut limits.rlim_cur, to);
            // SAFETY: setrlimit reads one rlimit, which outlives the call.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) }, 0);
            before
        };
        let mut fds = [const { None }; 50];
        let before = limit(open() as libc::rlim_t + 10);
        let received = two.recv_fds(&mut [0; 4], &mut fds).await;
        limit(before);
        // Linux opens as many as it may, the BSDs open none and fail. The simulated kernel opened
        // them when they were sent.
        if let (Ok(received), false) = (
            received,
            support::is_simulated("part: it has them open already"),
        ) {
            assert!(received.is_truncated && received.fds < 50);
        }
    });
}
