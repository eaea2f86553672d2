//! Pipes, anonymous and named.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use runtime_net::Interest;
use runtime_net::pipe::{self, OpenOptions, Receiver, Sender};
use support::{block_on, kind};

/// A named pipe that is removed when it is dropped.
struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Fifo {
        use std::os::unix::ffi::OsStrExt;
        let name = format!("runtime-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: it reads one string with a zero at its end.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
        Fifo(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn bytes_go_through_a_pipe_until_the_sender_is_dropped() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        // More than a pipe holds.
        let send = async move {
            sender.write_all(&[7; 300_000]).await?;
            sender.flush().await?;
            sender.close().await
        };
        let mut all = Vec::new();
        let ((), n) = future::try_zip(send, receiver.read_to_end(&mut all))
            .await
            .unwrap();
        assert_eq!(n, 300_000);
    });
}

#[test]
fn each_end_is_closed_when_the_other_is_dropped() {
    let _leak_check = support::DescriptorLeakCheck::new();
    if !support::reports_closed() || !support::reports_errors() {
        return;
    }
    block_on(async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let mut closed = Box::pin(receiver.closed());
        assert!(future::poll_once(&mut closed).await.is_none());
        sender.write_all(b"unread").await.unwrap();
        assert!(future::poll_once(&mut closed).await.is_none());
        drop(sender);
        closed.await.unwrap();
        let mut text = String::new();
        receiver.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "unread");

        let (mut sender, receiver) = pipe::pipe().unwrap();
        let mut closed = Box::pin(sender.closed());
        assert!(future::poll_once(&mut closed).await.is_none());
        drop(receiver);
        closed.await.unwrap();
        assert_eq!(kind(sender.write(b"x").await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_full_pipe_is_closed_when_its_receiver_is_dropped() {
    let _leak_check = support::DescriptorLeakCheck::new();
    if !support::reports_errors() {
        return;
    }
    block_on(async {
        let (sender, receiver) = pipe::pipe().unwrap();
        while sender.try_write(&[0; 4096]).is_ok() {}
        let mut write = Box::pin(async { (&sender).write(b"x").await });
        let mut closed = Box::pin(sender.closed());
        assert!(future::poll_once(&mut write).await.is_none());
        assert!(future::poll_once(&mut closed).await.is_none());
        drop(receiver);
        closed.await.unwrap();
        assert_eq!(kind(write.await), ErrorKind::BrokenPipe);
    });
}

#[test]
fn attempts_and_waits_transfer_bytes() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (sender, receiver) = pipe::pipe().unwrap();
        let mut buf = [0; 8];
        assert_eq!(kind(receiver.try_read(&mut buf)), ErrorKind::WouldBlock);
        let mut readable = Box::pin(receiver.readable());
        assert!(future::poll_once(&mut readable).await.is_none());
        sender.writable().await.unwrap();
        assert_eq!(sender.try_write(b"hello").unwrap(), 5);
        readable.await.unwrap();
        assert!(
            receiver
                .ready(Interest::READABLE)
                .await
                .unwrap()
                .is_readable()
        );
        assert_eq!(receiver.try_read(&mut buf).unwrap(), 5);
    });
}

#[test]
fn a_named_pipe_is_opened_at_both_ends() {
    if support::is_simulated("a named pipe is a file of the real kernel") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let fifo = Fifo::new("named");
        let options = OpenOptions::new();
        let error = options.open_sender(&fifo.0).unwrap_err();
        let path = fifo.0.display().to_string();
        assert!(
            error.to_string().starts_with(&format!("open {path}: ")),
            "{error}"
        );
        let mut receiver = options.open_receiver(&fifo.0).unwrap();
        assert_eq!(
            receiver.read(&mut [0; 4]).await.unwrap(),
            0,
            "there is no sender yet"
        );
        for round in [b"one", b"two"] {
            let mut sender = options.open_sender(&fifo.0).unwrap();
            let mut buf = [0; 8];
            let mut read = Box::pin(async { (&receiver).read(&mut buf).await });
            assert!(future::poll_once(&mut read).await.is_none());
            sender.write_all(round).await.unwrap();
            assert_eq!(read.await.unwrap(), 3);
            drop(sender);
            assert_eq!(receiver.read(&mut buf).await.unwrap(), 0);
        }
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_pipe_opened_both_ways_has_no_end() {
    if support::is_simulated("a named pipe is a file of the real kernel") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let fifo = Fifo::new("both");
        let both = OpenOptions::new().read_write(true).clone();
        // There is no receiver yet.
        let mut sender = both.open_sender(&fifo.0).unwrap();
        let receiver = both.open_receiver(&fifo.0).unwrap();
        sender.write_all(b"x").await.unwrap();
        drop(sender);
        let mut buf = [0; 4];
        assert_eq!((&receiver).read(&mut buf).await.unwrap(), 1);
        let mut more = Box::pin(async { (&receiver).read(&mut buf).await });
        assert!(future::poll_once(&mut more).await.is_none());
    });
}

/// Each packet ends a read, however long the buffer.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn every_packet_of_a_pipe_made_elsewhere_is_read() {
    if support::is_simulated("the pipe is one of the real kernel") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    use std::os::fd::FromRawFd;
    block_on(async {
        let mut ends = [-1; 2];
        // SAFETY: pipe2 writes two descriptors into the array of two that it is given.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_DIRECT) }, 0);
        // SAFETY: the kernel has just returned these descriptors, and they have no other owner.
        let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        let mut receiver = Receiver::try_from(reader).unwrap();
        let mut sender = Sender::try_from(writer).unwrap();
        let mut buf = [0; 16];
        let mut first = Box::pin(async { (&receiver).read(&mut buf).await });
        assert!(future::poll_once(&mut first).await.is_none());
        sender.write_all(b"packet").await.unwrap();
        sender.write_all(b"another").await.unwrap();
        assert_eq!(first.await.unwrap(), 6);
        assert_eq!(receiver.read(&mut buf).await.unwrap(), 7);
    });
}

#[test]
fn a_file_that_is_not_a_pipe_is_rejected() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let options = OpenOptions::new();
    assert_eq!(
        kind(options.open_receiver("/dev/null")),
        ErrorKind::InvalidInput
    );
    assert!(
        OpenOptions::new()
            .unchecked(true)
            .open_receiver("/dev/null")
            .is_ok()
    );
    assert_eq!(
        kind(options.open_receiver("/nowhere/at/all")),
        ErrorKind::NotFound
    );
    let null = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(
        kind(Sender::try_from(OwnedFd::from(null))),
        ErrorKind::InvalidInput
    );
}

#[test]
fn the_pipes_of_a_child_are_converted() {
    if support::is_simulated(
        "the pipe is that of a child process, which a simulation does not have",
    ) {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = Sender::try_from(child.stdin.take().unwrap()).unwrap();
        let mut stdout = Receiver::try_from(child.stdout.take().unwrap()).unwrap();
        stdin.write_all(b"meow").await.unwrap();
        let mut buf = [0; 4];
        stdout.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"meow");
        drop(stdin);
        if support::reports_closed() {
            stdout.closed().await.unwrap();
        }
        assert_eq!(stdout.read(&mut buf).await.unwrap(), 0);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn an_end_for_a_child_is_blocking_again() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let (sender, receiver) = pipe::pipe().unwrap();
    let is_blocking = |fd: &OwnedFd| {
        use std::os::fd::AsRawFd;
        // SAFETY: F_GETFL takes no pointer; the descriptor is open.
        let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
        flags & libc::O_NONBLOCK == 0
    };
    let writer = sender.into_blocking_fd().unwrap();
    let reader = receiver.into_nonblocking_fd();
    assert!(is_blocking(&writer) && !is_blocking(&reader));
    std::fs::File::from(writer).write_all(b"x").unwrap();
    let mut text = String::new();
    std::fs::File::from(reader)
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "x");
}

#[test]
fn the_wrong_end_of_a_pipe_is_rejected_by_name() {
    let _leak_check = support::DescriptorLeakCheck::new();
    let (sender, receiver) = pipe::pipe().unwrap();
    let reader = receiver.into_blocking_fd().unwrap();
    let writer = sender.into_blocking_fd().unwrap();
    let error = Sender::try_from(reader.try_clone().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(
        text.ends_with("is the reading end of a pipe, not the writing end"),
        "{text}"
    );
    let error = Receiver::try_from(writer.try_clone().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(
        text.ends_with("is the writing end of a pipe, not the reading end"),
        "{text}"
    );
    assert_eq!(
        kind(Sender::from_file(reader.try_clone().unwrap().into())),
        ErrorKind::InvalidInput
    );
    Receiver::from_file(reader.into()).unwrap();
    Sender::from_file(writer.into()).unwrap();
    // Open for both.
    let fifo = Fifo::new("both-ends");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&fifo.0)
        .unwrap();
    Sender::from_file(file.try_clone().unwrap()).unwrap();
    Receiver::from_file(file).unwrap();
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn a_receiver_can_wait_for_its_first_sender() {
    if support::is_simulated("a named pipe is a file of the real kernel") {
        return;
    }
    let _leak_check = support::DescriptorLeakCheck::new();
    let fifo = Fifo::new("first-sender");
    block_on(async {
        let mut at_once = OpenOptions::new().open_receiver(&fifo.0).unwrap();
        assert_eq!(at_once.read(&mut [0; 8]).await.unwrap(), 0);
        drop(at_once);
        let mut receiver = OpenOptions::new()
            .await_sender(true)
            .open_receiver(&fifo.0)
            .unwrap();
        assert_eq!(kind(receiver.try_read(&mut [0; 8])), ErrorKind::WouldBlock);
        let read = |_: &std::fs::File| Ok(());
        let tried = receiver.try_io(Interest::READABLE, read);
        assert_eq!(kind(tried), ErrorKind::WouldBlock);
        let mut text = String::new();
        let mut read = Box::pin(receiver.read_to_string(&mut text));
        assert!(future::poll_once(&mut read).await.is_none());
        let mut sender = OpenOptions::new().open_sender(&fifo.0).unwrap();
        sender.write_all(b"hello").await.unwrap();
        drop(sender);
        assert_eq!(read.await.unwrap(), 5);
        assert_eq!(
            receiver.read(&mut [0; 8]).await.unwrap(),
            0,
            "the sender was dropped"
        );
    });
}

#[test]
fn a_pipe_has_vectored_and_custom_operations() {
    let _leak_check = support::DescriptorLeakCheck::new();
    block_on(async {
        let (sender, receiver) = pipe::pipe().unwrap();
        let parts = [std::io::IoSlice::new(b"one"), std::io::IoSlice::new(b"two")];
        assert_eq!(sender.try_write_vectored(&parts).unwrap(), 6);
        let (mut first, mut second) = ([0; 2], [0; 8]);
        let mut parts = [&mut first[..], &mut second].map(std::io::IoSliceMut::new);
        assert_eq!(receiver.try_read_vectored(&mut parts).unwrap(), 6);
        assert_eq!((&first, &second[..4]), (b"on", &b"etwo"[..]));
        let write =
            |mut file: &std::fs::File| support::other_code::send(file, b"x", |buf| file.write(buf));
        assert_eq!(sender.try_io(Interest::WRITABLE, write).unwrap(), 1);
        let read = |mut file: &std::fs::File| {
            support::other_code::recv(file, &mut [0; 8], |buf| file.read(buf))
        };
        assert_eq!(receiver.try_io(Interest::READABLE, read).unwrap(), 1);
        assert_eq!(
            kind(receiver.try_io(Interest::READABLE, read)),
            ErrorKind::WouldBlock
        );
        let number = std::os::fd::AsRawFd::as_raw_fd(&sender);
        let fd = OwnedFd::from(sender);
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&fd), number);
        assert_eq!(kind(Receiver::try_from(fd)), ErrorKind::InvalidInput);
    });
}
