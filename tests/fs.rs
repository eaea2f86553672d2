//! `fs`: files and directories.

mod support;

use std::error::Error;
use std::fs as std_fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use futures_lite::StreamExt;
use runtime::fs::{self, DirBuilder, File, OpenOptions};
use runtime::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWriteExt, BufWriter};
use support::files::bytes;

/// A temporary directory that is removed on drop.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("runtime-fs-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std_fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std_fs::remove_dir_all(&self.0);
    }
}

/// The two ways of reading a file.
#[derive(Debug, Clone, Copy)]
enum Reads {
    /// On the thread of the runtime where the kernel knows that it does not wait.
    Cached,
    /// By jobs on the pool.
    Jobs,
}

const ALL_READS: [Reads; 2] = [Reads::Cached, Reads::Jobs];

/// Opens a file that is read in this way.
async fn open(options: &OpenOptions, path: &PathBuf, reads: Reads) -> File {
    let mut file = options.open(path).await.unwrap();
    if let Reads::Jobs = reads {
        // A file whose position is shared is read by jobs alone.
        file.try_clone().await.unwrap();
    }
    file
}

fn read_only() -> OpenOptions {
    let mut options = File::options();
    options.read(true);
    options
}

fn read_write() -> OpenOptions {
    let mut options = read_only();
    options.write(true);
    options
}

/// Returns a file open for reading only, whose next write fails.
async fn unwritable(dir: &TempDir) -> File {
    let path = dir.path("unwritable");
    std_fs::write(&path, "as it was").unwrap();
    File::open(path).await.unwrap()
}

#[runtime::test]
async fn functions_behave_like_those_of_std() {
    let dir = TempDir::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| dir.path(name));
    fs::write(&a, "hello").await.unwrap();
    assert_eq!(fs::read(&a).await.unwrap(), b"hello");
    assert_eq!(fs::copy(&a, &b).await.unwrap(), 5);
    assert_eq!(fs::read_to_string(&b).await.unwrap(), "hello");
    fs::rename(&b, &c).await.unwrap();
    assert!(!fs::try_exists(&b).await.unwrap());
    assert!(fs::try_exists(&c).await.unwrap());
    fs::hard_link(&a, &b).await.unwrap();
    fs::remove_file(&a).await.unwrap();
    assert_eq!(fs::metadata(&b).await.unwrap().len(), 5);
    fs::symlink(&b, &a).await.unwrap();
    assert_eq!(fs::read_link(&a).await.unwrap(), b);
    assert!(fs::symlink_metadata(&a).await.unwrap().is_symlink());
    let real = std_fs::canonicalize(&b).unwrap();
    assert_eq!(fs::canonicalize(&a).await.unwrap(), real);
    let mut permissions = fs::metadata(&c).await.unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&c, permissions).await.unwrap();
    assert!(fs::metadata(&c).await.unwrap().permissions().readonly());

    let deep = dir.path("d/e/f");
    fs::create_dir_all(&deep).await.unwrap();
    fs::remove_dir(&deep).await.unwrap();
    fs::create_dir(&deep).await.unwrap();
    fs::remove_dir_all(dir.path("d")).await.unwrap();
    assert!(!dir.path("d").exists());
}

#[runtime::test]
async fn errors_name_the_operation_and_the_path_and_keep_the_kind_and_the_cause() {
    let dir = TempDir::new();
    let missing = dir.path("missing");
    let name = missing.display().to_string();
    let errors = [
        ("open", File::open(&missing).await.map(drop)),
        ("read", fs::read(&missing).await.map(drop)),
        ("read", fs::read_to_string(&missing).await.map(drop)),
        (
            "read the metadata of",
            fs::metadata(&missing).await.map(drop),
        ),
        (
            "read the metadata of",
            fs::symlink_metadata(&missing).await.map(drop),
        ),
        ("read directory", fs::read_dir(&missing).await.map(drop)),
        (
            "read the symbolic link",
            fs::read_link(&missing).await.map(drop),
        ),
        ("canonicalize", fs::canonicalize(&missing).await.map(drop)),
        ("remove", fs::remove_file(&missing).await),
        ("remove directory", fs::remove_dir(&missing).await),
        ("remove directory", fs::remove_dir_all(&missing).await),
        ("create directory", fs::create_dir(missing.join("x")).await),
        ("write", fs::write(missing.join("x"), "").await),
    ];
    for (what, result) in errors {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{what} {name}")), "{text}");
        let cause = error.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert!(cause.unwrap().raw_os_error().is_some(), "{text}");
    }
    let error = fs::rename(&missing, &dir.0).await.unwrap_err();
    let expected = format!("rename {name} to {}: ", dir.0.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    std_fs::write(&missing, b"\xff").unwrap();
    let error = fs::read_to_string(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let error = File::create_new(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[runtime::test]
async fn data_written_in_pieces_is_read_in_other_pieces() {
    let dir = TempDir::new();
    let path = dir.path("large");
    // Larger than any buffer, and a multiple of no piece.
    let data = bytes(5_000_001);
    let mut file = BufWriter::new(File::create(&path).await.unwrap());
    for piece in data.chunks(70_003) {
        file.write_all(piece).await.unwrap();
    }
    file.close().await.unwrap();
    assert!(std_fs::read(&path).unwrap() == data);

    for reads in ALL_READS {
        let mut file = open(&read_only(), &path, reads).await;
        let mut received = Vec::new();
        let mut buffer = vec![0; 333_333];
        for length in [1, 10, 333_333].into_iter().cycle() {
            match file.read(&mut buffer[..length]).await.unwrap() {
                0 => break,
                n => received.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(received == data, "{reads:?}");
        assert_eq!(
            file.read(&mut buffer).await.unwrap(),
            0,
            "the end is reported again"
        );
    }
}

#[runtime::test]
async fn small_reads_share_one_job() {
    let dir = TempDir::new();
    let path = dir.path("small");
    std_fs::write(&path, bytes(1000)).unwrap();
    for reads in ALL_READS {
        let mut file = open(&read_only(), &path, reads).await;
        let mut byte = [0];
        assert_eq!(file.read(&mut byte).await.unwrap(), 1);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 1..1000 {
            // The first job has read ahead, so each read is ready at once.
            let read = Pin::new(&mut file).poll_read(&mut cx, &mut byte);
            assert!(matches!(read, Poll::Ready(Ok(1))), "{reads:?}");
        }
        assert_eq!(file.read(&mut byte).await.unwrap(), 0);
    }
}

#[runtime::test]
async fn read_ahead_does_not_change_the_visible_position() {
    for reads in ALL_READS {
        assert_position_hides_read_ahead(reads).await;
    }
}

async fn assert_position_hides_read_ahead(reads: Reads) {
    let dir = TempDir::new();
    let path = dir.path("positions");
    std_fs::write(&path, "0123456789").unwrap();
    let mut file = open(&read_write(), &path, reads).await;
    let mut three = [0; 3];
    file.read_exact(&mut three).await.unwrap();
    file.write_all(b"abc").await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(std_fs::read(&path).unwrap(), b"012abc6789");

    file.read_exact(&mut three[..1]).await.unwrap();
    assert_eq!(&three[..1], b"6");
    assert_eq!(file.seek(SeekFrom::Current(1)).await.unwrap(), 8);
    file.read_exact(&mut three[..1]).await.unwrap();
    assert_eq!(&three[..1], b"8");
    // Read-ahead data beyond the new length is dropped by `set_len`.
    file.seek(SeekFrom::Start(0)).await.unwrap();
    file.read_exact(&mut three[..1]).await.unwrap();
    file.set_len(2).await.unwrap();
    let mut rest = String::new();
    file.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "1");

    file.seek(SeekFrom::Start(0)).await.unwrap();
    file.read_exact(&mut three[..1]).await.unwrap();
    let mut file = file.into_std().await.unwrap();
    rest.clear();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "1", "std continues at the same position");
}

#[runtime::test]
async fn seek_returns_the_position_or_an_error_and_runs_once() {
    let dir = TempDir::new();
    let path = dir.path("seek");
    std_fs::write(&path, "0123456789").unwrap();
    for reads in ALL_READS {
        let mut file = open(&read_only(), &path, reads).await;
        assert_eq!(file.seek(SeekFrom::End(-4)).await.unwrap(), 6);
        assert_eq!(file.seek(SeekFrom::Current(2)).await.unwrap(), 8);
        assert_eq!(file.seek(SeekFrom::Current(2)).await.unwrap(), 10);
        let error = file.seek(SeekFrom::Current(-11)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&path.display().to_string()));
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 10);
    }
}

/// Each operation that can report a failed background write reports it, and only once.
#[runtime::test]
async fn a_write_error_is_returned_by_the_next_operation() {
    let dir = TempDir::new();
    let assert_reported = |result: io::Result<()>| {
        let error = result.expect_err("the write failed");
        assert_eq!(error.raw_os_error(), None, "it names the path");
        let expected = format!("write {}: ", dir.path("unwritable").display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    };
    let written = || async {
        let mut file = unwritable(&dir).await;
        assert_eq!(file.write(b"lost").await.unwrap(), 4);
        file
    };
    let mut file = written().await;
    assert_reported(file.flush().await);
    file.flush().await.unwrap();
    assert_reported(written().await.close().await);
    assert_reported(written().await.write(b"more").await.map(drop));
    assert_reported(written().await.seek(SeekFrom::Start(0)).await.map(drop));
    assert_reported(written().await.sync_all().await);
    assert_reported(written().await.sync_data().await);
    assert_reported(written().await.set_len(0).await);
    assert_reported(written().await.into_std().await.map(drop));

    // A read in between does not clear the error.
    let mut file = written().await;
    let mut text = String::new();
    file.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "as it was");
    assert_reported(file.flush().await);
    // After that an operation returns its own error.
    let error = file.set_len(1).await.unwrap_err();
    assert!(
        error.to_string().starts_with("set the length of "),
        "{error}"
    );
}

#[runtime::test]
async fn a_write_to_an_unseekable_file_keeps_read_ahead_data() {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let ours = std_fs::File::from(std::os::fd::OwnedFd::from(ours));
    let mut file = File::from_std(ours, "socket");
    io::Write::write_all(&mut theirs, b"0123456789").unwrap();
    let mut some = [0; 4];
    file.read_exact(&mut some).await.unwrap();
    file.write_all(b"abc").await.unwrap();
    file.flush().await.unwrap();
    let mut sent = [0; 3];
    theirs.read_exact(&mut sent).unwrap();
    assert_eq!(&sent, b"abc");
    let mut rest = [0; 6];
    file.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"456789");
}

#[runtime::test]
async fn a_read_that_is_dropped_loses_nothing() {
    let dir = TempDir::new();
    let path = dir.path("dropped");
    let data = bytes(200_000);
    std_fs::write(&path, &data).unwrap();
    for reads in ALL_READS {
        let mut file = open(&read_only(), &path, reads).await;
        let mut received = Vec::new();
        let mut buffer = [0; 1000];
        loop {
            // A read that is polled once and dropped, then another read.
            let mut cx = Context::from_waker(Waker::noop());
            let read = match Pin::new(&mut file).poll_read(&mut cx, &mut buffer) {
                Poll::Ready(read) => read,
                Poll::Pending => file.read(&mut buffer).await,
            };
            match read.unwrap() {
                0 => break,
                n => received.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(received == data, "{reads:?}");
    }
}

#[test]
fn dropping_a_file_finishes_an_accepted_write() {
    let dir = TempDir::new();
    let path = dir.path("dropped");
    let runtime = runtime::Runtime::builder().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let mut file = File::create(&path).await.unwrap();
        file.write_all(b"not flushed").await.unwrap();
        drop(file);
        // The only pool thread runs this job after the write.
        runtime::spawn_blocking(|| {}).await.unwrap();
    });
    assert_eq!(std_fs::read(&path).unwrap(), b"not flushed");
}

#[runtime::test]
async fn a_directory_is_read_completely_as_a_stream() {
    let dir = TempDir::new();
    // More entries than one job reads.
    for n in 0..300 {
        std_fs::write(dir.path(&format!("{n:03}")), "").unwrap();
    }
    let entries = fs::read_dir(&dir.0).await.unwrap();
    let entries: Vec<_> = entries.try_collect().await.unwrap();
    let mut names: Vec<_> = entries.iter().map(|entry| entry.file_name()).collect();
    names.sort();
    let expected = (0..300).map(|n| format!("{n:03}"));
    assert!(names.into_iter().eq(expected.map(std::ffi::OsString::from)));
    assert!(entries[0].file_type().await.unwrap().is_file());
    assert_eq!(entries[0].metadata().await.unwrap().len(), 0);
    std_fs::remove_file(entries[0].path()).unwrap();
    let error = entries[0].metadata().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(entries[0].path().to_str().unwrap())
    );

    let mut entries = fs::read_dir(&dir.0).await.unwrap();
    let mut count = 0;
    while let Some(_entry) = entries.next_entry().await.unwrap() {
        count += 1;
    }
    assert_eq!(count, 299);
    assert!(
        entries.next_entry().await.unwrap().is_none(),
        "the end is reported again"
    );
}

#[runtime::test]
async fn reads_and_writes_of_several_buffers_use_all_of_them() {
    for reads in ALL_READS {
        assert_all_buffers_are_used(reads).await;
    }
}

async fn assert_all_buffers_are_used(reads: Reads) {
    let dir = TempDir::new();
    let path = dir.path("vectored");
    let mut options = read_write();
    options.create(true);
    let mut file = open(&options, &path, reads).await;
    let bufs = ["one", "", "two", "three"].map(|text| IoSlice::new(text.as_bytes()));
    assert_eq!(file.write_vectored(&bufs).await.unwrap(), 11);
    file.flush().await.unwrap();
    assert_eq!(std_fs::read(&path).unwrap(), b"onetwothree");

    file.seek(SeekFrom::Start(0)).await.unwrap();
    let (mut first, mut second, mut third) = ([0; 4], [0; 0], [0; 5]);
    let mut bufs = [
        IoSliceMut::new(&mut first),
        IoSliceMut::new(&mut second),
        IoSliceMut::new(&mut third),
    ];
    assert_eq!(file.read_vectored(&mut bufs).await.unwrap(), 9);
    assert_eq!((&first, &third), (b"onet", b"wothr"));
    let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut third)];
    assert_eq!(file.read_vectored(&mut bufs).await.unwrap(), 2);
    assert_eq!(&first[..2], b"ee");
    assert_eq!(
        file.read_vectored(&mut bufs_of(&mut first)).await.unwrap(),
        0
    );
    assert_eq!(file.read_vectored(&mut []).await.unwrap(), 0);
    assert_eq!(file.write_vectored(&[]).await.unwrap(), 0);
}

fn bufs_of(buf: &mut [u8]) -> [IoSliceMut<'_>; 1] {
    [IoSliceMut::new(buf)]
}

#[runtime::test]
async fn reads_and_writes_at_an_offset_keep_the_position_and_the_read_ahead_data() {
    let dir = TempDir::new();
    let path = dir.path("at");
    std_fs::write(&path, "0123456789").unwrap();
    for reads in ALL_READS {
        let file = open(&read_write(), &path, reads).await;
        let mut two = [0; 2];
        assert_eq!(file.read_at(&mut two, 7).await.unwrap(), 2);
        assert_eq!(&two, b"78");
        assert_eq!(file.read_at(&mut two, 9).await.unwrap(), 1);
        assert_eq!(file.read_at(&mut two, 10).await.unwrap(), 0);
        // Not the current position, which an offset of -1 is to the kernel.
        let error = file.read_at(&mut two, u64::MAX).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{reads:?}");
    }
    let mut file = open(&read_write(), &path, Reads::Cached).await;
    let mut two = [0; 2];
    file.read_exact(&mut two).await.unwrap();
    assert_eq!(file.read_at(&mut two, 7).await.unwrap(), 2);
    assert_eq!(file.write_at(b"xyz", 9).await.unwrap(), 3);
    file.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"23");
    assert_eq!(std_fs::read(&path).unwrap(), b"012345678xyz");

    let read_only = File::open(&path).await.unwrap();
    let error = read_only.write_at(b"x", 0).await.unwrap_err();
    let expected = format!("write {}: ", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(runtime::io::os_error(&error), Some(libc::EBADF));
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = File::from_std(std::os::fd::OwnedFd::from(ours).into(), "socket");
    let error = socket.read_at(&mut two, 0).await.unwrap_err();
    assert_eq!(runtime::io::os_error(&error), Some(libc::ESPIPE));
}

#[runtime::test]
async fn a_duplicate_of_a_file_continues_where_the_next_read_would_have_begun() {
    let dir = TempDir::new();
    let path = dir.path("clone");
    std_fs::write(&path, "0123456789").unwrap();
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).open(&path).await.unwrap();
    let mut two = [0; 2];
    file.read_exact(&mut two).await.unwrap(); // the rest is read ahead
    file.write_all(b"x").await.unwrap(); // may be pending
    file.set_max_buf_size(3);
    let mut other = file.try_clone().await.unwrap();
    assert_eq!(other.max_buf_size(), 3);
    assert_eq!(std_fs::read(&path).unwrap(), b"01x3456789");
    other.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"34");
    // The position is shared, and the other handle has read ahead to its limit.
    assert_eq!(file.stream_position_of_the_system(), 6);
}

trait Position {
    fn stream_position_of_the_system(&self) -> u64;
}

impl Position for File {
    fn stream_position_of_the_system(&self) -> u64 {
        let file = std::os::fd::AsFd::as_fd(self).try_clone_to_owned().unwrap();
        io::Seek::stream_position(&mut std_fs::File::from(file)).unwrap()
    }
}

#[runtime::test]
async fn a_maximum_buffer_size_limits_each_write_and_what_is_read_ahead() {
    let dir = TempDir::new();
    let path = dir.path("limited");
    for reads in ALL_READS {
        std_fs::write(&path, "0123456789").unwrap();
        let file = open(&read_write(), &path, reads).await;
        assert_buffer_is_limited(file, &path).await;
    }
}

async fn assert_buffer_is_limited(mut file: File, path: &PathBuf) {
    file.set_max_buf_size(0);
    assert_eq!(file.max_buf_size(), 1, "the minimum");
    file.set_max_buf_size(4);
    let mut all = [0; 10];
    assert_eq!(file.read(&mut all).await.unwrap(), 4);
    assert_eq!(file.stream_position_of_the_system(), 4);
    assert_eq!(file.read_at(&mut all, 0).await.unwrap(), 4);
    assert_eq!(file.write(b"abcdef").await.unwrap(), 4);
    file.flush().await.unwrap();
    assert_eq!(std_fs::read(path).unwrap(), b"0123abcd89");
    assert_eq!(file.write_at(b"ABCDEF", 0).await.unwrap(), 4);
    assert_eq!(std_fs::read(path).unwrap(), b"ABCDabcd89");
}

#[runtime::test]
async fn a_directory_builder_sets_the_mode_and_creates_parents() {
    let dir = TempDir::new();
    let deep = dir.path("a/b");
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    let error = builder.create(&deep).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let expected = format!("create directory {}: ", deep.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    builder.recursive(true);
    builder.create(&deep).await.unwrap();
    builder
        .create(&deep)
        .await
        .expect("an existing directory is no error");
    for path in [dir.path("a"), deep] {
        let mode = std_fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[runtime::test]
async fn an_entry_of_a_directory_has_the_number_of_its_inode() {
    let dir = TempDir::new();
    std_fs::write(dir.path("a"), "").unwrap();
    let entry = fs::read_dir(&dir.0).await.unwrap().next_entry().await;
    let entry = entry.unwrap().unwrap();
    assert_eq!(entry.ino(), std_fs::metadata(dir.path("a")).unwrap().ino());
}

#[test]
fn operations_outside_a_runtime_are_errors_with_the_reason() {
    let dir = TempDir::new();
    let path = dir.path("outside");
    std_fs::write(&path, "0123456789").unwrap();
    let mut file = runtime::block_on(async {
        let mut options = File::options();
        let mut file = options.read(true).write(true).open(&path).await.unwrap();
        file.read_exact(&mut [0; 3]).await.unwrap();
        file
    });
    let outside = |result: io::Result<()>| {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("need a runtime"), "{error}");
    };
    use futures_lite::future::block_on;
    outside(block_on(fs::read(&path)).map(drop));
    outside(block_on(File::open(&path)).map(drop));
    outside(block_on(file.write_all(b"x")));
    outside(block_on(file.seek(SeekFrom::Start(0))).map(drop));
    outside(block_on(file.metadata()).map(drop));
    outside(block_on(file.sync_all()));
    // The failed calls lost no data.
    let rest = runtime::block_on(async {
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.map(|_| rest)
    });
    assert_eq!(rest.unwrap(), "3456789");
    outside(block_on(file.read(&mut [0])).map(drop));
}

/// Returns a runtime whose only pool thread is busy until the sender is dropped.
fn busy() -> (runtime::Runtime, mpsc::Sender<()>) {
    let runtime = runtime::Runtime::builder().max_blocking_threads(1).build();
    let runtime = runtime.unwrap();
    let (end, ended) = mpsc::channel();
    drop(runtime.handle().spawn_blocking(move || ended.recv()));
    (runtime, end)
}

#[test]
fn a_job_canceled_at_shutdown_is_an_error_and_does_not_hang() {
    let dir = TempDir::new();
    let path = dir.path("dies");
    std_fs::write(&path, "kept").unwrap();
    let mut file = runtime::block_on(open(&read_only(), &path, Reads::Jobs));
    let (runtime, end) = busy();
    let mut cx = Context::from_waker(Waker::noop());
    runtime.block_on(async {
        let read = Pin::new(&mut file).poll_read(&mut cx, &mut [0; 4]);
        assert!(read.is_pending());
    });
    drop(runtime); // the job has not begun
    let error = runtime::block_on(file.read(&mut [0; 4])).unwrap_err();
    assert!(error.to_string().starts_with("read "), "{error}");
    assert_eq!(error.kind(), ErrorKind::Other);
    drop(end);
}

#[test]
fn a_job_canceled_at_shutdown_keeps_the_position() {
    let dir = TempDir::new();
    let path = dir.path("position");
    std_fs::write(&path, "0123456789").unwrap();
    let mut byte = [0];
    let mut file = runtime::block_on(async {
        let mut file = open(&read_write(), &path, Reads::Jobs).await;
        file.read_exact(&mut byte).await.unwrap(); // the rest is read ahead
        file
    });

    let (runtime, end) = busy();
    let written = runtime.block_on(file.write(b"x"));
    assert_eq!(written.unwrap(), 1);
    drop(runtime);
    runtime::block_on(async {
        file.flush()
            .await
            .expect("the write was accepted and is performed");
        file.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, *b"2");
    });
    drop(end);

    let (runtime, end) = busy();
    let mut cx = Context::from_waker(Waker::noop());
    runtime.block_on(async {
        let seek = Pin::new(&mut file).poll_seek(&mut cx, SeekFrom::Current(2));
        assert!(seek.is_pending());
    });
    drop(runtime);
    runtime::block_on(async {
        let lost = file.seek(SeekFrom::Current(2)).await;
        lost.expect_err("the seek is lost");
        assert_eq!(file.seek(SeekFrom::Current(2)).await.unwrap(), 5);
        let mut file = file.into_std().await.unwrap();
        file.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"5");
    });
    drop(end);
    assert_eq!(std_fs::read(&path).unwrap(), b"0x23456789");
}

#[test]
fn a_job_canceled_at_shutdown_loses_no_directory_entry() {
    let dir = TempDir::new();
    for name in ["a", "b"] {
        std_fs::write(dir.path(name), "").unwrap();
    }
    let mut entries = runtime::block_on(fs::read_dir(&dir.0)).unwrap();
    let (runtime, end) = busy();
    let mut cx = Context::from_waker(Waker::noop());
    runtime.block_on(async { assert!(entries.poll_next(&mut cx).is_pending()) });
    drop(runtime);
    runtime::block_on(async {
        let error = entries.next_entry().await.expect_err("the job is lost");
        let expected = format!("read directory {}: ", dir.0.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        let rest: Vec<_> = entries.try_collect().await.unwrap();
        assert_eq!(rest.len(), 2);
    });
    drop(end);
}
