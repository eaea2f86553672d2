//! The standard streams. A separate binary with one test, because they belong to the process.

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

/// Returns true if the open file description, which other processes may share, is non-blocking.
fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// Opens a pipe; std has this from Rust 1.87 on.
fn pipe() -> (File, File) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader.into(), writer.into())
}

/// Replaces the standard input by `fd`.
fn set_input(fd: impl Into<OwnedFd>) {
    dup2_stdin(fd.into()).unwrap();
}

/// Replaces the standard error by `fd`. The standard output belongs to the test harness.
fn set_output(fd: impl Into<OwnedFd>) {
    dup2_stderr(fd.into()).unwrap();
}

/// Returns an unlinked file opened for reading and writing, and the same file opened for reading.
fn temporary(name: &str) -> (File, File) {
    let path = std::env::temp_dir().join(format!("runtime-{name}-{}", std::process::id()));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let read_only = File::open(&path);
    std::fs::remove_file(path).unwrap();
    (file.unwrap(), read_only.unwrap())
}

/// Asserts that reading waits for `other_end` without a thread and without a change of its mode.
async fn assert_waits_for(mut other_end: impl Write) {
    let mut stdin = io::stdin();
    let mut buffer = [0; 100];
    let mut cx = Context::from_waker(Waker::noop());
    let read = Pin::new(&mut stdin).poll_read(&mut cx, &mut buffer);
    assert!(read.is_pending());
    assert!(!is_nonblocking(std::io::stdin()));
    // A second handle may wait at the same time.
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

/// Asserts that reading returns the end, repeatedly.
async fn assert_at_end() {
    let mut stdin = io::stdin();
    assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(stdin.read(&mut [0]).await.unwrap(), 0);
}

async fn read_from_pipes_sockets_and_terminals() {
    let (reader, writer) = pipe();
    set_input(reader);
    assert_waits_for(&writer).await;
    drop(writer);
    assert_at_end().await;

    let (ours, theirs) = UnixStream::pair().unwrap();
    set_input(ours);
    assert_waits_for(&theirs).await;
    drop(theirs);
    assert_at_end().await;

    let (mut controller, terminal) = pseudo_terminal();
    set_input(terminal);
    assert_waits_for(&controller).await;
    controller.write_all(b"\x04").unwrap(); // Ctrl-D
    assert_eq!(io::stdin().read(&mut [0]).await.unwrap(), 0);

    set_input(File::open("/dev/null").unwrap());
    assert_at_end().await;
}

/// A slow reader delays only the writer and receives all bytes.
async fn write_to_pipes() {
    let (reader, writer) = pipe();
    let writer_too = writer.try_clone().unwrap();
    set_output(writer);
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
    let mut received = vec![0; written + 200_000];
    reader.read_exact(&mut received).await.unwrap();
    rest.await.unwrap();
    assert!(received[..written].iter().all(|&b| b == b'x'));
    assert!(received[written..].iter().all(|&b| b == b'y'));

    drop(reader);
    let error = io::stderr().write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let text = error.to_string();
    assert!(text.starts_with("write to the standard error: "), "{text}");
}

/// A terminal that is not read is reported writable with space for one byte. Only on Linux a write
/// does not block then.
#[cfg(target_os = "linux")]
async fn write_to_terminals() {
    for _ in 0..20 {
        let (mut controller, terminal) = pseudo_terminal();
        set_output(terminal.try_clone().unwrap());
        let mut stderr = io::stderr();
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        while let Poll::Ready(n) = Pin::new(&mut stderr).poll_write(&mut cx, &[b'x'; 10_000]) {
            written += n.unwrap();
        }
        assert!(written > 0 && !is_nonblocking(&terminal));
        let mut received = vec![0; written];
        controller.read_exact(&mut received).unwrap();
        assert!(received.iter().all(|&b| b == b'x'));
    }
    // The controlling side is a terminal too, but reopening it would create another one.
    let (controller, mut terminal) = pseudo_terminal();
    set_output(controller);
    io::stderr().write_all(b"typed\n").await.unwrap();
    let mut line = [0; 6];
    terminal.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"typed\n");
}

#[cfg(not(target_os = "linux"))]
async fn write_to_terminals() {}

/// The wrong end of a pipe is an error; a non-blocking pipe works.
async fn unusual_pipes() {
    let (reader, writer) = pipe();
    set_output(reader.try_clone().unwrap());
    let error = io::stderr().write_all(b"x").await.unwrap_err();
    assert!(error.to_string().contains("the standard error"), "{error}");
    set_input(writer);
    let error = io::stdin().read(&mut [0]).await.unwrap_err();
    assert!(error.to_string().contains("the standard input"), "{error}");

    let (reader, mut writer) = pipe();
    fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
    set_input(reader);
    let mut stdin = io::stdin();
    let mut cx = Context::from_waker(Waker::noop());
    let read = Pin::new(&mut stdin).poll_read(&mut cx, &mut [0]);
    assert!(read.is_pending() && is_nonblocking(std::io::stdin()));
    writer.write_all(b"x").unwrap();
    assert_eq!(stdin.read(&mut [0; 2]).await.unwrap(), 1);
}

/// Regular files, whose operations run on the blocking pool.
async fn files() {
    let (mut file, _) = temporary("stdin");
    file.write_all(b"in a file\n").unwrap();
    file.rewind().unwrap();
    set_input(file);
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "in a file\n");

    let (file, read_only) = temporary("stderr");
    let mut same = file.try_clone().unwrap();
    set_output(file);
    let mut stderr = io::stderr();
    let sent = vec![b'z'; 3_000_000];
    stderr.write_all(&sent).await.unwrap();
    stderr.flush().await.unwrap();
    let mut received = Vec::new();
    same.rewind().unwrap();
    same.read_to_end(&mut received).unwrap();
    assert!(received == sent);

    // An error of a write is returned by the write or by the flush.
    set_output(File::open("/dev/null").unwrap());
    let error = io::stderr().write_all(b"x").await.unwrap_err();
    assert!(error.to_string().contains("the standard error"), "{error}");
    set_output(read_only);
    let mut stderr = io::stderr();
    let written = stderr.write_all(b"x").await;
    let error = written.err().or(stderr.flush().await.err()).unwrap();
    assert!(
        error.to_string().starts_with("write the standard error: "),
        "{error}"
    );
}

/// A name, the stream, what has to stay open meanwhile, and what reading returns.
type Input = (&'static str, OwnedFd, Vec<File>, Result<&'static str, i32>);

/// The forms that the standard input can have.
fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").unwrap();
    inputs.push(("a pipe", reader.into(), Vec::new(), Ok("x")));
    let (reader, writer) = pipe();
    let wrong = ("the wrong end of a pipe", writer.into());
    inputs.push((wrong.0, wrong.1, vec![reader], Err(libc::EBADF)));
    let (mut controller, terminal) = pseudo_terminal();
    controller.write_all(b"x\n\x04").unwrap(); // Ctrl-D
    inputs.push(("a terminal", terminal.into(), vec![controller], Ok("x\n")));
    let null = File::open("/dev/null").unwrap();
    inputs.push(("/dev/null", null.into(), Vec::new(), Ok("")));
    let null = File::options().write(true).open("/dev/null").unwrap();
    let write_only = ("/dev/null for writing", null.into());
    inputs.push((write_only.0, write_only.1, Vec::new(), Err(libc::EBADF)));
    let (mut file, read_only) = temporary("input");
    file.write_all(b"x").unwrap();
    inputs.push(("a file", read_only.into(), Vec::new(), Ok("x")));
    let directory = File::open("/").unwrap();
    inputs.push((
        "a directory",
        directory.into(),
        Vec::new(),
        Err(libc::EISDIR),
    ));
    inputs
}

/// A name, the stream, from where the written text can be read, and what writing returns.
type Output = (&'static str, OwnedFd, Option<File>, Result<(), i32>);

/// The forms that the standard output and error can have.
fn outputs() -> Vec<Output> {
    let mut outputs = Vec::new();
    let (reader, writer) = pipe();
    outputs.push(("a pipe", writer.into(), Some(reader), Ok(())));
    let (reader, _writer) = pipe();
    outputs.push((
        "the wrong end of a pipe",
        reader.into(),
        None,
        Err(libc::EBADF),
    ));
    let (_, writer) = pipe();
    outputs.push((
        "a pipe without a reader",
        writer.into(),
        None,
        Err(libc::EPIPE),
    ));
    let (controller, terminal) = pseudo_terminal();
    outputs.push(("a terminal", terminal.into(), Some(controller), Ok(())));
    let null = File::options().write(true).open("/dev/null").unwrap();
    outputs.push(("/dev/null", null.into(), None, Ok(())));
    let null = File::open("/dev/null").unwrap();
    outputs.push(("/dev/null for reading", null.into(), None, Err(libc::EBADF)));
    let (file, read_only) = temporary("output");
    outputs.push(("a file", file.into(), Some(read_only), Ok(())));
    let (_, read_only) = temporary("unwritable");
    outputs.push((
        "a file for reading",
        read_only.into(),
        None,
        Err(libc::EBADF),
    ));
    if cfg!(target_os = "linux") {
        let full = File::options().write(true).open("/dev/full").unwrap();
        outputs.push(("/dev/full", full.into(), None, Err(libc::ENOSPC)));
    }
    outputs
}

fn assert_error(error: &io::Error, errno: i32, form: &str, stream: &str) {
    let text = error.to_string();
    assert_eq!(io::os_error(error), Some(errno), "{form}: {text}");
    assert!(text.contains(stream), "{form}: {text}");
}

async fn read_all() -> io::Result<String> {
    let (mut stdin, mut text) = (io::stdin(), String::new());
    stdin.read_to_string(&mut text).await.map(|_| text)
}

async fn write_and_flush() -> io::Result<()> {
    let mut stderr = io::stderr();
    stderr.write_all(b"written").await?;
    stderr.flush().await
}

async fn forms() {
    for (form, stream, kept, expected) in inputs() {
        set_input(stream);
        match (read_all().await, expected) {
            (Err(error), Err(errno)) => assert_error(&error, errno, form, "the standard input"),
            (read, expected) => assert_eq!(read.ok().as_deref(), expected.ok(), "{form}"),
        }
        drop(kept);
    }
    for (form, stream, reader, expected) in outputs() {
        set_output(stream);
        match (write_and_flush().await, expected) {
            (Err(error), Err(errno)) => assert_error(&error, errno, form, "the standard error"),
            (written, expected) => assert_eq!(written.ok(), expected.ok(), "{form}"),
        }
        if let Some(mut reader) = reader {
            let mut text = [0; 7];
            reader.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"written", "{form}");
        }
    }
    // Opened before, so that they do not get the numbers of the streams.
    let [input, output] =
        [(); 2].map(|()| File::options().write(true).read(true).open("/dev/null"));
    // SAFETY: closes the streams, which belong to the process; std opens nothing by their numbers.
    unsafe { libc::close(0) };
    let error = read_all().await.unwrap_err();
    assert_error(&error, libc::EBADF, "closed", "the standard input");
    set_input(input.unwrap());
    // SAFETY: as above.
    unsafe { libc::close(2) };
    let error = write_and_flush().await.unwrap_err();
    assert_error(&error, libc::EBADF, "closed", "the standard error");
    set_output(output.unwrap());
}

#[test]
fn standard_streams_of_every_kind_work_and_keep_their_modes() {
    let kept = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let (before, threads_before) = (descriptors(), threads());
    runtime::block_on(read_from_pipes_sockets_and_terminals());
    runtime::block_on(write_to_pipes());
    runtime::block_on(write_to_terminals());
    runtime::block_on(unusual_pipes());
    set_output(kept.try_clone().unwrap());
    assert_eq!(threads(), threads_before, "no thread was started to wait");
    assert_eq!(descriptors(), before);
    runtime::block_on(files());
    runtime::block_on(forms());
    set_output(kept);
    // The pool thread that ran the last job may not have closed its descriptor yet. This would hang
    // if a descriptor leaked.
    while descriptors() != before - 1 {
        std::thread::yield_now();
    }

    // Dropping a runtime does not wait for input.
    let (reader, writer) = pipe();
    set_input(reader);
    runtime::block_on(async {
        let waits = runtime::spawn(async { io::stdin().read(&mut [0]).await });
        runtime::task::yield_now().await;
        drop(waits);
    });
    drop(writer);

    // Outside a runtime waiting is an error, and available data is read.
    let (reader, mut writer) = pipe();
    set_input(reader);
    let mut stdin = io::stdin();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = Pin::new(&mut stdin).poll_read(&mut cx, &mut [0]) else {
            panic!("expected an error");
        };
        assert!(error.to_string().contains("no runtime drives"), "{error}");
    }
    writer.write_all(b"x").unwrap();
    let read = Pin::new(&mut stdin).poll_read(&mut cx, &mut [0; 2]);
    assert!(matches!(read, Poll::Ready(Ok(1))));
}
