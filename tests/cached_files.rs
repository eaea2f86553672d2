//! Data in memory is read on the thread that asks for it, and the rest on the blocking pool.
#![cfg(target_os = "linux")]

mod support;

use std::cell::Cell;
use std::fs as std_fs;
use std::io::{ErrorKind, IoSliceMut, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};

use futures_lite::future::poll_once;
use runtime::Runtime;
use runtime::fs::{self, File, OpenOptions};
use runtime::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};
use support::files::{BusyDisk, TempFile, bytes};

/// Returns true if the kernel knows whether reads of the file block, and prints a line if not.
fn is_known(file: &TempFile) -> bool {
    let std_file = std_fs::File::open(&file.0).unwrap();
    let mut byte = [0];
    let mut buf = [IoSliceMut::new(&mut byte)];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    let known = rustix::io::preadv2(&std_file, &mut buf, 1 << 62, flags) == Ok(0);
    if !known {
        eprintln!("SKIPPED: this file system does not support RWF_NOWAIT");
    }
    known
}

/// Runs a test in a runtime, and returns the number of pool threads that it started.
fn threads_of(test: impl AsyncFnOnce()) -> usize {
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

fn advise(file: &std_fs::File, advice: libc::c_int) {
    // SAFETY: posix_fadvise takes no pointer, and the descriptor is open.
    let error = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, advice) };
    assert_eq!(error, 0);
}

/// Removes a file from memory. Returns false if the kernel keeps it.
fn evict(path: &Path) -> bool {
    let file = std_fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    advise(&file, libc::POSIX_FADV_DONTNEED);
    let length = file.metadata().unwrap().len() as usize;
    let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a mapping at an address of the kernel's choice overlaps no other memory.
    let map = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            protection,
            flags,
            file.as_raw_fd(),
            0,
        )
    };
    assert_ne!(map, libc::MAP_FAILED);
    let mut resident = vec![0_u8; length.div_ceil(4096)];
    // SAFETY: the kernel writes a byte for each page of the mapping, of at least 4096 bytes.
    let result = unsafe { libc::mincore(map, length, resident.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: the mapping was made above and is not used any more.
    assert_eq!(unsafe { libc::munmap(map, length) }, 0);
    let gone = resident.iter().all(|page| page & 1 == 0);
    if !gone {
        eprintln!("SKIPPED: this system keeps the file in memory");
    }
    gone
}

#[test]
fn no_thread_is_started_for_what_is_in_memory() {
    let data = bytes(300_000);
    let file = TempFile::new("cached", &data);
    if !is_known(&file) {
        return;
    }
    let path = &file.0;
    let threads = threads_of(async || {
        assert!(fs::read(path).await.unwrap() == data);
        let text = fs::read_to_string(path).await.unwrap_err();
        assert_eq!(text.kind(), ErrorKind::InvalidData);
        assert_eq!(fs::metadata(path).await.unwrap().len(), 300_000);
        assert!(fs::symlink_metadata(path).await.unwrap().is_file());
        assert!(fs::try_exists(path).await.unwrap());
        // The second time its directory is known.
        assert!(fs::read(path).await.unwrap() == data);

        let mut opened = File::open(path).await.unwrap();
        assert_eq!(opened.metadata().await.unwrap().len(), 300_000);
        let mut received = Vec::new();
        let mut buffer = vec![0; 200_000];
        for length in [1, 100, 5_000, 200_000].into_iter().cycle() {
            match opened.read(&mut buffer[..length]).await.unwrap() {
                0 => break,
                n => received.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(received == data);
        assert_eq!(opened.seek(SeekFrom::Start(7)).await.unwrap(), 7);
        let (mut one, mut other) = ([0; 5], [0; 6_000]);
        let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
        assert_eq!(opened.read_vectored(&mut bufs).await.unwrap(), 6_005);
        assert!(one == data[7..12] && other == data[12..6_012]);
        assert_eq!(opened.seek(SeekFrom::Current(-5)).await.unwrap(), 6_007);
        let mut large = vec![0; 290_000];
        assert_eq!(opened.read_at(&mut large, 20_000).await.unwrap(), 280_000);
        assert!(large[..280_000] == data[20_000..]);

        let mut wrapped = File::from_std(std_fs::File::open(path).unwrap(), path);
        wrapped.read_exact(&mut large).await.unwrap();
        assert!(large == data[..290_000]);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true);
        options
            .open(path)
            .await
            .unwrap()
            .read(&mut one)
            .await
            .unwrap();
    });
    assert_eq!(threads, 0);
}

#[test]
fn a_file_that_is_not_in_memory_is_read_by_a_job() {
    let data = bytes(4_000_001);
    let file = TempFile::new("cold", &data);
    let path = &file.0;
    type Read<'a> = Pin<Box<dyn Future<Output = Vec<u8>> + 'a>>;
    let reads: [fn(&Path) -> Read<'_>; 4] = [
        |path| Box::pin(async move { fs::read(path).await.unwrap() }),
        |path| {
            Box::pin(async move {
                let mut received = Vec::new();
                let mut file = File::open(path).await.unwrap();
                file.read_to_end(&mut received).await.unwrap();
                received
            })
        },
        |path| {
            Box::pin(async move {
                let file = File::open(path).await.unwrap();
                let mut received = vec![0; 1_000_000];
                assert_eq!(file.read_at(&mut received, 0).await.unwrap(), 1_000_000);
                drop(file);
                received.extend_from_slice(&fs::read(path).await.unwrap()[1_000_000..]);
                received
            })
        },
        // A part is in memory: its end is not the end of the file.
        |path| {
            Box::pin(async move {
                let part = std_fs::File::open(path).unwrap();
                // The kernel must not read more than this.
                advise(&part, libc::POSIX_FADV_RANDOM);
                part.read_exact_at(&mut vec![0; 8192], 0).unwrap();
                fs::read(path).await.unwrap()
            })
        },
    ];
    for read in reads {
        let mut threads = 0;
        let busy = BusyDisk::new();
        // A fast disk has sometimes read a page before the kernel looks at it.
        for _ in 0..1000 {
            if !evict(path) {
                return;
            }
            threads += threads_of(async || assert!(read(path).await == data));
            if threads > 0 {
                break;
            }
        }
        assert!(threads > 0);
        drop(busy);
        // The kernel has it in memory now.
        if is_known(&file) {
            let threads = threads_of(async || assert!(fs::read(path).await.unwrap() == data));
            assert_eq!(threads, 0);
        }
    }
}

#[test]
fn a_file_system_that_cannot_say_whether_a_read_blocks_is_read_by_jobs() {
    // tmpfs supports RWF_NOWAIT on no version of Linux so far; /proc never will.
    let path = Path::new("/dev/shm").join(format!("runtime-cached-{}", std::process::id()));
    let data = bytes(100_000);
    if std_fs::write(&path, &data).is_err() {
        return eprintln!("SKIPPED: there is no /dev/shm");
    }
    let file = TempFile(path);
    threads_of(async || {
        for path in [&file.0, Path::new("/proc/self/cmdline")] {
            let expected = std_fs::read(path).unwrap();
            assert_eq!(fs::read(path).await.unwrap(), expected);
            let mut received = Vec::new();
            let mut opened = File::open(path).await.unwrap();
            opened.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, expected);
            let mut at = vec![0; 10];
            assert_eq!(opened.read_at(&mut at, 5).await.unwrap(), 10);
            assert_eq!(at, expected[5..15]);
            assert!(fs::metadata(path).await.unwrap().is_file());
        }
    });
}

/// Opening a named pipe for reading waits for a writer, and a writer that waits for a reader must
/// find one that stays.
#[test]
fn a_named_pipe_is_opened_by_a_job() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fifo-{}", std::process::id()));
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: mkfifo reads a string that ends with a NUL.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let fifo = TempFile(path);
    // Its directory becomes known for files that can be opened without waiting.
    let file = TempFile::new("beside-fifo", b"x");
    threads_of(async || {
        fs::read(&file.0).await.unwrap();
        for _ in 0..3 {
            // The writer comes first.
            let path = fifo.0.clone();
            let write = runtime::spawn_blocking(move || std_fs::write(path, "from before"));
            assert_eq!(fs::read(&fifo.0).await.unwrap(), b"from before");
            write.await.unwrap().unwrap();

            // The reader comes first.
            let mut read = pin!(fs::read(&fifo.0));
            assert!(poll_once(read.as_mut()).await.is_none());
            let path = fifo.0.clone();
            let write = runtime::spawn_blocking(move || std_fs::write(path, "through the pipe"));
            assert_eq!(read.await.unwrap(), b"through the pipe");
            write.await.unwrap().unwrap();

            let path = fifo.0.clone();
            let write = runtime::spawn_blocking(move || std_fs::write(path, "again"));
            let mut text = String::new();
            let mut opened = File::open(&fifo.0).await.unwrap();
            opened.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "again");
            write.await.unwrap().unwrap();
        }
    });
}

#[test]
fn an_opened_file_blocks_like_one_of_std() {
    let file = TempFile::new("flags", b"x");
    threads_of(async || {
        let mut options = OpenOptions::new();
        for append in [false, true] {
            options.read(true).append(append);
            let opened = options.open(&file.0).await.unwrap();
            let std_file = std_fs::OpenOptions::new()
                .read(true)
                .append(append)
                .open(&file.0);
            let flags = |fd: &dyn AsRawFd| {
                // SAFETY: these commands take no pointer, and the descriptor is open.
                let flags = |command| unsafe { libc::fcntl(fd.as_raw_fd(), command) };
                (flags(libc::F_GETFL), flags(libc::F_GETFD))
            };
            assert_eq!(flags(&opened), flags(&std_file.unwrap()));
        }
    });
}

#[test]
fn a_hundred_readers_at_once_share_the_thread() {
    let data = Rc::new(bytes(1_000_000));
    let file = TempFile::new("hundred", &data);
    if !is_known(&file) {
        return;
    }
    let threads = threads_of(async || {
        let readers = (0..100).map(|n| {
            let (path, data) = (file.0.clone(), data.clone());
            runtime::spawn(async move {
                let mut opened = File::open(&path).await.unwrap();
                let mut received = Vec::new();
                let mut piece = vec![0; 1_000 + n * 300];
                loop {
                    match opened.read(&mut piece).await.unwrap() {
                        0 => break,
                        n => received.extend_from_slice(&piece[..n]),
                    }
                }
                assert!(received == *data);
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await.unwrap();
        }
    });
    assert_eq!(threads, 0);
}

#[test]
fn a_large_file_gives_way_to_other_tasks() {
    const MIB: usize = 1024 * 1024;
    let data = bytes(MIB).repeat(8);
    let file = TempFile::new("large", &data);
    if !is_known(&file) {
        return;
    }
    threads_of(async || {
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let other = runtime::spawn(async move {
            loop {
                count.set(count.get() + 1);
                runtime::task::yield_now().await;
            }
        });
        assert!(fs::read(&file.0).await.unwrap() == data);
        // At least one for each two MiB.
        assert!(turns.get() >= 4, "{} turns", turns.get());
        turns.set(0);
        let mut received = Vec::with_capacity(data.len() + 1);
        let mut opened = File::open(&file.0).await.unwrap();
        opened.read_to_end(&mut received).await.unwrap();
        assert!(turns.get() >= 4, "{} turns", turns.get());
        other.abort();
    });
}

#[test]
fn a_canceled_read_keeps_the_position() {
    let data = bytes(5_000_000);
    let file = TempFile::new("canceled", &data);
    threads_of(async || {
        let mut opened = File::open(&file.0).await.unwrap();
        let mut received = Vec::new();
        let mut piece = vec![0; 70_000];
        let mut pending = 0;
        loop {
            // Each read is polled once. One that finds the budget used up is dropped.
            let polled = poll_once(opened.read(&mut piece)).await;
            match polled {
                Some(Ok(0)) => break,
                Some(n) => received.extend_from_slice(&piece[..n.unwrap()]),
                None => {
                    pending += 1;
                    runtime::task::yield_now().await;
                }
            }
        }
        assert!(received == data);
        assert!(pending >= 2, "{pending}");
    });
}

/// The position of a file that another handle shares has a lock, for which the thread would wait.
#[test]
fn a_file_with_a_duplicate_is_read_by_jobs() {
    let file = TempFile::new("duplicate", b"0123456789");
    let runtime = Runtime::builder().max_blocking_threads(1).build().unwrap();
    let (end, ended) = mpsc::channel::<()>();
    runtime.block_on(async {
        let mut opened = File::open(&file.0).await.unwrap();
        let mut other = opened.try_clone().await.unwrap();
        // The jobs wait behind this one.
        drop(runtime::spawn_blocking(move || ended.recv()));
        for handle in [&mut opened, &mut other] {
            let mut cx = Context::from_waker(Waker::noop());
            let polled = Pin::new(handle).poll_read(&mut cx, &mut [0; 10]);
            assert!(matches!(polled, Poll::Pending));
        }
    });
    drop(end);
}

#[test]
fn a_write_is_seen_by_the_next_read() {
    let file = TempFile::new("written", b"");
    threads_of(async || {
        let mut appended = std_fs::OpenOptions::new()
            .append(true)
            .open(&file.0)
            .unwrap();
        let mut opened = File::open(&file.0).await.unwrap();
        let mut buffer = [0; 10];
        for n in 0..10 {
            assert_eq!(
                opened.read(&mut buffer).await.unwrap(),
                0,
                "the end, so far"
            );
            appended.write_all(&[n; 3]).unwrap();
            assert_eq!(opened.read(&mut buffer).await.unwrap(), 3);
            assert_eq!(buffer[..3], [n; 3]);
        }
    });
}
