//! `send_file`: files are sent byte by byte, whatever happens to file, peer and future.

mod support;

use std::fs as std_fs;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use futures_lite::future::poll_once;
use runtime::fs::{self, File};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, UnixStream};
use runtime::{Backend, Runtime};
use support::files::{TempFile, bytes};

fn on_all_backends(test: impl AsyncFn()) {
    for &backend in Backend::available() {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        runtime.block_on(test());
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let near = TcpStream::connect(address).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// Sends a range over TCP and a Unix socket, and returns what arrived.
async fn sent(file: &impl AsFd, range: Range<u64>) -> Vec<u8> {
    let (mut near, mut far) = pair().await;
    let receiver = runtime::spawn(async move {
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        received
    });
    let count = near.send_file(file, range.clone()).await.unwrap();
    near.close().await.unwrap();
    let received = receiver.await.unwrap();
    assert_eq!(received.len() as u64, count);

    let (mut near, mut far) = UnixStream::pair().unwrap();
    let receiver = runtime::spawn(async move {
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        received
    });
    assert_eq!(near.send_file(file, range).await.unwrap(), count);
    near.close().await.unwrap();
    assert!(receiver.await.unwrap() == received);
    received
}

#[test]
fn any_range_arrives_as_it_is_in_the_file() {
    // Larger than the buffers of a socket.
    let data = bytes(8_000_001);
    let on_disk = TempFile::new("ranges", &data);
    on_all_backends(async || {
        let mut file = File::open(&on_disk.0).await.unwrap();
        file.read_exact(&mut [0; 100]).await.unwrap(); // does not matter
        let all = data.len() as u64;
        let ranges = [0..all, 0..0, 7..8, 4_095..200_000, all - 1..all];
        for range in ranges {
            let expected = &data[range.start as usize..range.end as usize];
            assert!(sent(&file, range.clone()).await == expected, "{range:?}");
        }
        // Beyond the end.
        assert!(sent(&file, 7_000_000..u64::MAX).await == data[7_000_000..]);
        for range in [all..all + 1, all + 5..u64::MAX, u64::MAX - 1..u64::MAX] {
            assert!(sent(&file, range).await.is_empty());
        }
        #[allow(clippy::reversed_empty_ranges, reason = "that is the test")]
        let reversed = 10..5;
        assert!(sent(&file, reversed).await.is_empty());
        // The position is where it was.
        let mut byte = [0];
        file.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte[0], data[100]);
    });
}

/// The kernel cannot say whether a file of tmpfs is in memory, so a job reads it first. For files
/// of /proc it refuses sendfile, or has no size.
#[test]
fn files_of_other_file_systems_arrive_too() {
    let data = bytes(3_000_000);
    let folder = Path::new("/dev/shm");
    let other = folder
        .is_dir()
        .then(|| TempFile::within(folder, "shm", &data));
    on_all_backends(async || {
        if let Some(other) = &other {
            let file = std_fs::File::open(&other.0).unwrap();
            assert!(sent(&file, 0..u64::MAX).await == data);
        }
        if let Ok(expected) = std_fs::read("/proc/self/cmdline") {
            let file = std_fs::File::open("/proc/self/cmdline").unwrap();
            assert!(sent(&file, 0..u64::MAX).await == expected);
            assert!(sent(&file, 3..9).await == expected[3..9]);
        }
    });
}

#[test]
fn a_receiver_that_does_not_read_holds_the_sender_up_until_it_does() {
    let data = bytes(12_000_000);
    let on_disk = TempFile::new("pressure", &data);
    on_all_backends(async || {
        let file = File::open(&on_disk.0).await.unwrap();
        let (near, mut far) = pair().await;
        let mut sending = near.send_file(&file, 0..u64::MAX);
        while poll_once(&mut sending).await.is_none() {
            let before = sending.sent();
            for _ in 0..100 {
                runtime::task::yield_now().await;
            }
            assert!(poll_once(&mut sending).await.is_none());
            if sending.sent() == before && before > 0 {
                break; // the buffers are full
            }
        }
        let stopped = sending.sent();
        assert!(stopped > 0 && stopped < data.len() as u64, "{stopped}");
        let mut received = vec![0; data.len()];
        let receive = far.read_exact(&mut received);
        let (sent, read) = runtime::join!(sending, receive);
        assert_eq!(sent.unwrap(), data.len() as u64);
        read.unwrap();
        assert!(received == data);
    });
}

#[test]
fn a_canceled_transfer_says_how_far_it_got() {
    let data = bytes(12_000_000);
    let on_disk = TempFile::new("canceled", &data);
    on_all_backends(async || {
        let file = File::open(&on_disk.0).await.unwrap();
        let (mut near, mut far) = pair().await;
        let receiver = runtime::spawn(async move {
            let mut received = Vec::new();
            let mut buffer = vec![0; 50_000];
            loop {
                match far.read(&mut buffer).await.unwrap() {
                    0 => break received,
                    n => received.extend_from_slice(&buffer[..n]),
                }
                // Slower than the sender.
                runtime::task::yield_now().await;
            }
        });
        let mut next = 0;
        let mut transfers = 0;
        while next < data.len() as u64 {
            let mut sending = near.send_file(&file, next..data.len() as u64);
            // Polled a few times, then dropped.
            for _ in 0..3 {
                if poll_once(&mut sending).await.is_some() {
                    break;
                }
                runtime::task::yield_now().await;
            }
            next += sending.sent();
            transfers += 1;
        }
        near.close().await.unwrap();
        assert!(receiver.await.unwrap() == data);
        assert!(transfers > 1);
    });
}

#[test]
fn a_file_that_is_truncated_ends_the_transfer() {
    let data = bytes(12_000_000);
    let on_disk = TempFile::new("truncated", &data);
    on_all_backends(async || {
        std_fs::write(&on_disk.0, &data).unwrap();
        let file = File::open(&on_disk.0).await.unwrap();
        let (near, mut far) = pair().await;
        let mut sending = near.send_file(&file, 0..data.len() as u64);
        assert!(poll_once(&mut sending).await.is_none());
        let other = std_fs::OpenOptions::new().write(true).open(&on_disk.0);
        other.unwrap().set_len(sending.sent()).unwrap();
        let receiver = runtime::spawn(async move {
            let mut received = Vec::new();
            far.read_to_end(&mut received).await.unwrap();
            received
        });
        let sent = sending.await.unwrap();
        drop(near);
        let received = receiver.await.unwrap();
        assert!(received.len() as u64 == sent && sent < data.len() as u64);
        // The kernel passes on pages of the file, which are zeroed when it is truncated.
        assert!(received[..1000] == data[..1000]);
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error_that_keeps_the_count() {
    let data = bytes(12_000_000);
    let on_disk = TempFile::new("gone", &data);
    on_all_backends(async || {
        let file = File::open(&on_disk.0).await.unwrap();
        let (near, mut far) = pair().await;
        let mut sending = near.send_file(&file, 0..data.len() as u64);
        assert!(poll_once(&mut sending).await.is_none());
        let before = sending.sent();
        far.read_exact(&mut [0; 1000]).await.unwrap();
        drop(far);
        let error = (&mut sending).await.unwrap_err();
        let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        assert!(gone.contains(&error.kind()), "{error}");
        assert!(sending.sent() >= before);

        let (mut near, _far) = UnixStream::pair().unwrap();
        near.close().await.unwrap();
        let error = near.send_file(&file, 0..10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn files_that_cannot_be_read_at_a_position_are_an_error() {
    let on_disk = TempFile::new("unreadable", b"0123456789");
    on_all_backends(async || {
        let (near, _far) = pair().await;
        let (socket, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        io::Write::write_all(&mut writer, b"unused").unwrap();
        let error = near.send_file(&socket, 0..3).await.unwrap_err();
        assert_eq!(runtime::io::os_error(&error), Some(libc::ESPIPE));
        let write_only = std_fs::OpenOptions::new().write(true).open(&on_disk.0);
        let error = near
            .send_file(&write_only.unwrap(), 0..3)
            .await
            .unwrap_err();
        assert_eq!(runtime::io::os_error(&error), Some(libc::EBADF));
    });
}

/// Sending to a closed connection raises SIGPIPE, which ends a process that does not ignore it.
#[test]
fn a_process_that_does_not_ignore_sigpipe_survives() {
    const NAME: &str = "a_process_that_does_not_ignore_sigpipe_survives";
    if std::env::var_os("RUNTIME_SIGPIPE").is_some() {
        // SAFETY: the default action is no handler that could run.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let data = bytes(1_000_000);
        let on_disk = TempFile::new("signal", &data);
        return runtime::block_on(async {
            let file = File::open(&on_disk.0).await.unwrap();
            assert!(sent(&file, 0..u64::MAX).await == data);
            let (near, far) = UnixStream::pair().unwrap();
            drop(far);
            let error = near.send_file(&file, 0..10).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME]).env("RUNTIME_SIGPIPE", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn many_transfers_share_the_thread() {
    let data = bytes(300_000);
    let on_disk = TempFile::new("many", &data);
    on_all_backends(async || {
        let transfers = (0..20).map(|n: u64| {
            let path = on_disk.0.clone();
            runtime::spawn(async move {
                let file = File::open(&path).await.unwrap();
                sent(&file, n * 1000..u64::MAX).await.len()
            })
        });
        for (n, transfer) in transfers.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(transfer.await.unwrap(), data.len() - n * 1000);
        }
    });
}

/// Runs a test in a runtime, and returns the number of pool threads that it started.
#[cfg(target_os = "linux")]
fn threads_of(test: impl AsyncFnOnce()) -> usize {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let started = Arc::new(AtomicUsize::new(0));
    let counter = started.clone();
    let builder = Runtime::builder().on_thread_start(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let runtime = builder.build().unwrap();
    runtime.block_on(test());
    drop(runtime);
    started.load(Ordering::Relaxed)
}

#[test]
#[cfg(target_os = "linux")]
fn a_thread_reads_what_is_not_in_memory_and_only_that() {
    use std::os::fd::AsRawFd;
    use support::files::BusyDisk;

    let data = bytes(8_000_000);
    let on_disk = TempFile::new("cold", &data);
    let file = std_fs::File::open(&on_disk.0).unwrap();
    file.sync_all().unwrap();
    let mut byte = [0];
    let mut buf = [io::IoSliceMut::new(&mut byte)];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    if rustix::io::preadv2(&file, &mut buf, 1 << 62, flags) != Ok(0) {
        return eprintln!("SKIPPED: this file system does not support RWF_NOWAIT");
    }
    let threads = threads_of(async || assert!(sent(&file, 0..u64::MAX).await == data));
    assert_eq!(threads, 0);
    let _busy = BusyDisk::new();
    for _ in 0..1000 {
        let advice = libc::POSIX_FADV_DONTNEED;
        // SAFETY: posix_fadvise takes no pointer, and the descriptor is open.
        let result = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, advice) };
        assert_eq!(result, 0);
        let threads = threads_of(async || assert!(sent(&file, 0..u64::MAX).await == data));
        // A fast disk has sometimes read a page before the kernel looks at it.
        if threads > 0 {
            return;
        }
    }
    panic!("no thread was started");
}

#[runtime::test]
async fn a_file_is_sent_outside_of_the_buffer_of_its_handle() {
    let on_disk = TempFile::new("flushed", b"");
    let mut file = File::options();
    let mut file = file.read(true).write(true).open(&on_disk.0).await.unwrap();
    file.write_all(b"written").await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(sent(&file, 0..100).await, b"written");
    assert_eq!(sent(&file, 2..5).await, b"itt");
    assert_eq!(fs::read(&on_disk.0).await.unwrap(), b"written");
}

/// Reads to the end, for the side of a client that is not asynchronous.
#[test]
fn a_blocking_client_receives_a_file() {
    let data = bytes(1_000_000);
    let on_disk = TempFile::new("blocking", &data);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let mut received = Vec::new();
        let mut stream = listener.accept().unwrap().0;
        stream.read_to_end(&mut received).unwrap();
        received
    });
    runtime::block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let file = File::open(&on_disk.0).await.unwrap();
        assert_eq!(
            stream.send_file(&file, 0..u64::MAX).await.unwrap(),
            1_000_000
        );
    });
    assert!(client.join().unwrap() == data);
}
