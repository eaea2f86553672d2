//! The standard streams. A binary of its own, with one test: they are the process's.

mod support;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_lite::StreamExt;
use runtime::io::{self, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::stdio::{dup2_stderr, dup2_stdin};
use support::{descriptors, pseudo_terminal, threads};

/// Whether it is non-blocking, as others see it too.
fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// A pipe; std has one since Rust 1.87.
fn pipe() -> (File, File) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader.into(), writer.into())
}

/// Makes `fd` the standard input.
fn input(fd: impl Into<OwnedFd>) {
    dup2_stdin(fd.into()).unwrap();
}

/// Makes `fd` the standard error: the tests' own output is left alone.
fn output(fd: impl Into<OwnedFd>) {
    dup2_stderr(fd.into()).unwrap();
}

/// A file without a name, to read and write, and the same to read only.
fn temporary(name: &str) -> (File, File) {
    let path = std::env::temp_dir().join(format!("runtime-{name}-{}", std::process::id()));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let read_only = File::open(&path);
    std::fs::remove_file(path).unwrap();
    (file.unwrap(), read_only.unwrap())
}

/// What is waited for is there later, and no thread waits for it.
async fn is_waited_for(mut other_end: impl Write) {
    let mut stdin = io::stdin();
    let mut buffer = [0; 100];
    let mut cx = Context::from_waker(Waker::noop());
    let read = Pin::new(&mut stdin).poll_read(&mut cx, &mut buffer);
    assert!(read.is_pending());
    assert!(!is_nonblocking(std::io::stdin()));
    // Two at once are no trouble.
    let mut second = io::stdin();
    let read = Pin::new(&mut second).poll_read(&mut cx, &mut buffer);
    assert!(read.is_pending());
    drop(second);

    let reader = runtime::spawn(async move {
        let n = stdin.read(&mut buffer).await.unwrap();
        (stdin, buffer, n)
    });
    runtime::task::yield_now().await;
    other_end.write_all(b"hello\n").unwrap();
    let (mut stdin, buffer, n) = reader.await.unwrap();
    assert_eq!(&buffer[..n], b"hello\n");

    other_end.write_all(b"one\ntwo\n").unwrap();
    let mut lines = io::BufReader::new(&mut stdin).lines();
    for expected in ["one", "two"] {
        assert_eq!(lines.next().await.unwrap().unwrap(), expected);
    }
}

async fn is_at_its_end() {
    let mut stdin = io::stdin();
    assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
}

async fn read_from_everything() {
    let (reader, writer) = pipe();
    input(reader);
    is_waited_for(&writer).await;
    drop(writer);
    is_at_its_end().await;

    let (ours, theirs) = UnixStream::pair().unwrap();
    input(ours);
    is_waited_for(&theirs).await;
    drop(theirs);
    is_at_its_end().await;

    let (mut controller, terminal) = pseudo_terminal();
    input(terminal);
    is_waited_for(&controller).await;
    controller.write_all(b"\x04").unwrap(); // Ctrl-D
    assert_eq!(io::stdin().read(&mut [0]).await.unwrap(), 0);

    input(File::open("/dev/null").unwrap());
    is_at_its_end().await;
}

/// A reader who is slow holds up nobody but the writer, and gets everything.
async fn write_to_pipes() {
    let (reader, writer) = pipe();
    let writer_too = writer.try_clone().unwrap();
    output(writer);
    let mut stderr = io::stderr();
    let mut cx = Context::from_waker(Waker::noop());
    let mut written = 0;
    let piece = [b'x'; 10_000];
    while let Poll::Ready(n) = Pin::new(&mut stderr).poll_write(&mut cx, &piece) {
        written += n.unwrap();
    }
    assert!(written > 0 && !is_nonblocking(&writer_too));
    let rest = runtime::spawn(async move {
        stderr.write_all(&[b'y'; 200_000]).await.unwrap();
        stderr.close().await.unwrap();
    });
    drop(writer_too);
    runtime::task::yield_now().await;
    let mut reader = io::Async::new(reader).unwrap();
    let mut came = vec![0; written + 200_000];
    reader.read_exact(&mut came).await.unwrap();
    rest.await.unwrap();
    assert!(came[..written].iter().all(|&b| b == b'x'));
    assert!(came[written..].iter().all(|&b| b == b'y'));

    drop(reader);
    let error = io::stderr().write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let text = error.to_string();
    assert!(text.starts_with("write to the standard error: "), "{text}");
}

/// One that nobody reads calls itself writable when it has room for one byte. Linux alone can do
/// better than to believe it.
#[cfg(target_os = "linux")]
async fn write_to_terminals() {
    for _ in 0..20 {
        let (mut controller, terminal) = pseudo_terminal();
        output(terminal.try_clone().unwrap());
        let mut stderr = io::stderr();
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        while let Poll::Ready(n) = Pin::new(&mut stderr).poll_write(&mut cx, &[b'x'; 10_000]) {
            written += n.unwrap();
        }
        assert!(written > 0 && !is_nonblocking(&terminal));
        let mut came = vec![0; written];
        controller.read_exact(&mut came).unwrap();
        assert!(came.iter().all(|&b| b == b'x'));
    }
    // The controlling side is a terminal as well, and stays itself.
    let (controller, mut terminal) = pseudo_terminal();
    output(controller);
    io::stderr().write_all(b"typed\n").await.unwrap();
    let mut line = [0; 6];
    terminal.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"typed\n");
}

#[cfg(not(target_os = "linux"))]
async fn write_to_terminals() {}

/// The wrong end of a pipe is an error, and non-blocking ones are no trouble.
async fn pipes_as_they_are() {
    let (reader, writer) = pipe();
    output(reader.try_clone().unwrap());
    let error = io::stderr().write_all(b"x").await.unwrap_err();
    assert!(error.to_string().contains("the standard error"), "{error}");
    input(writer);
    let error = io::stdin().read(&mut [0]).await.unwrap_err();
    assert!(error.to_string().contains("the standard input"), "{error}");

    let (reader, mut writer) = pipe();
    fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
    input(reader);
    let mut stdin = io::stdin();
    let mut cx = Context::from_waker(Waker::noop());
    let read = Pin::new(&mut stdin).poll_read(&mut cx, &mut [0]);
    assert!(read.is_pending() && is_nonblocking(std::io::stdin()));
    writer.write_all(b"x").unwrap();
    assert_eq!(stdin.read(&mut [0; 2]).await.unwrap(), 1);
}

/// On the pool: what cannot be waited for.
async fn files() {
    let (mut file, _) = temporary("stdin");
    file.write_all(b"in a file\n").unwrap();
    file.rewind().unwrap();
    input(file);
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "in a file\n");

    let (file, read_only) = temporary("stderr");
    let mut same = file.try_clone().unwrap();
    output(file);
    let mut stderr = io::stderr();
    let sent = vec![b'z'; 3_000_000];
    stderr.write_all(&sent).await.unwrap();
    stderr.flush().await.unwrap();
    let mut came = Vec::new();
    same.rewind().unwrap();
    same.read_to_end(&mut came).unwrap();
    assert!(came == sent);

    // What cannot be written is told by flush.
    output(File::open("/dev/null").unwrap());
    let error = io::stderr().write_all(b"x").await.unwrap_err();
    assert!(error.to_string().contains("the standard error"), "{error}");
    output(read_only);
    let mut stderr = io::stderr();
    let written = stderr.write_all(b"x").await;
    let error = written.err().or(stderr.flush().await.err()).unwrap();
    assert!(
        error.to_string().starts_with("write the standard error: "),
        "{error}"
    );
}

#[test]
fn the_standard_streams_can_be_anything_and_keep_their_modes() {
    let kept = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let (before, threads_before) = (descriptors(), threads());
    runtime::block_on(read_from_everything());
    runtime::block_on(write_to_pipes());
    runtime::block_on(write_to_terminals());
    runtime::block_on(pipes_as_they_are());
    output(kept.try_clone().unwrap());
    assert_eq!(threads(), threads_before, "no thread waited");
    assert_eq!(descriptors(), before);
    runtime::block_on(files());
    output(kept);
    // The thread that did the last job may still be about to leave the runtime. Would hang if it
    // left anything open.
    while descriptors() != before - 1 {
        std::thread::yield_now();
    }

    // The end of a runtime does not wait for Enter.
    let (reader, writer) = pipe();
    input(reader);
    runtime::block_on(async {
        let waits = runtime::spawn(async { io::stdin().read(&mut [0]).await });
        runtime::task::yield_now().await;
        drop(waits);
    });
    drop(writer);

    // And outside a runtime waiting is an error, while what is there is read.
    let (reader, mut writer) = pipe();
    input(reader);
    let mut stdin = io::stdin();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = Pin::new(&mut stdin).poll_read(&mut cx, &mut [0]) else {
            panic!("it waits");
        };
        assert!(error.to_string().contains("no runtime drives"), "{error}");
    }
    writer.write_all(b"x").unwrap();
    let read = Pin::new(&mut stdin).poll_read(&mut cx, &mut [0; 2]);
    assert!(matches!(read, Poll::Ready(Ok(1))));
}
