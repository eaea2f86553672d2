//! Open files.

mod cached;
mod jobs;
mod state;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use runtime_executor::consume_budget;
use runtime_executor::internal::Proceed;
use runtime_reactor::internal::with_context;

use super::job::on_pool;
use super::open::Opening;
use super::read_ahead::{MAX_BYTES, retry};
use super::{Metadata, Permissions, WriteError};
use crate::sys::cached as sys;
use state::{Shared, State};

/// An open file that is read, written and positioned on the blocking pool.
///
/// A file runs one operation at a time. On Linux, what is in memory is read on the thread of the
/// runtime, with buffers of at least 4 KiB directly into them; see the
/// [module](super#platform-specific-behavior). Jobs fill a read-ahead buffer of 64 KiB to 2 MiB,
/// depending on the size of the buffers passed in, and limited by
/// [`set_max_buf_size`](File::set_max_buf_size). Writing and seeking drop the read-ahead data,
/// which is read again if needed; a file that cannot seek (a named pipe, a socket) keeps it for its
/// next read. Writing copies up to 2 MiB and **completes in the background**; the next operation
/// waits for it. Each write is one job, so use a [`BufWriter`](crate::io::BufWriter) for small
/// writes.
///
/// # Dropping
/// A write that returned `Ok` is performed, even if the file or the runtime is dropped before: the
/// drop of the runtime waits until it is. It is lost only if the process ends without dropping the
/// runtime, as by [`std::process::exit`]. If the file is dropped before an operation has returned
/// the error of a write, the error is written to the standard error. A write is known to have
/// succeeded only after `flush` or `close` has.
///
/// If the runtime is dropped, other jobs that have not begun are canceled and return an error of
/// kind `Other`. The file keeps its position and can be used in another runtime.
///
/// # Errors
/// The text of an error names operation and path, and [`io::os_error`](crate::io::os_error) returns
/// its number. **The error of a write is returned by the next
/// `write`, `flush`, `close` or seek, [`sync_all`](File::sync_all), [`sync_data`](File::sync_data),
/// [`set_len`](File::set_len) or [`into_std`](File::into_std)**, whichever comes first, and is then
/// cleared. How much of the failed write is in the file is unknown.
///
/// # Cancel safety
/// Dropping a read loses no data: the next read returns it. A write that returned `Pending` has
/// written nothing. A dropped seek may have taken effect; if the next operation is the same seek,
/// it is not repeated and returns the result of the first.
///
/// # Platform-specific behavior
/// A file that accepts lseek(2) but ignores it, such as a terminal on some systems, loses its
/// read-ahead data when it is written: use [`io::Async`](crate::io::Async) for those.
///
/// # Examples
/// ```
/// use runtime::fs::File;
/// use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-file-{}", std::process::id());
/// # let path = std::env::temp_dir().join(name);
/// let mut file = File::options().read(true).write(true).create(true).open(&path).await?;
/// file.write_all(b"hello").await?;
/// file.flush().await?; // returns the error of the write, if any
/// file.seek(SeekFrom::Start(1)).await?;
/// let mut rest = String::new();
/// file.read_to_string(&mut rest).await?;
/// assert_eq!(rest, "ello");
/// # runtime::fs::remove_file(&path).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct File {
    shared: Arc<Shared>,
    path: Arc<Path>,
    state: State,
    /// The maximum number of bytes that a job moves.
    max_bytes: usize,
    /// The error of a background write that was not returned yet.
    write_error: Option<WriteError>,
    /// True if the kernel may know whether reads would block. What is in memory is then read on the
    /// thread that asks for it.
    reads_cached: AtomicBool,
    proceed: Proceed,
}

impl File {
    fn new(file: std::fs::File, path: &Path, reads_cached: bool) -> File {
        File {
            shared: Arc::new(Shared::new(file)),
            path: path.into(),
            state: State::Idle,
            max_bytes: MAX_BYTES,
            write_error: None,
            reads_cached: AtomicBool::new(reads_cached),
            proceed: Proceed::default(),
        }
    }

    /// Opens a file for reading, like [`std::fs::File::open`].
    ///
    /// # Errors
    /// Returns `NotFound` if the file does not exist, and `PermissionDenied` if it may not be read.
    /// See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future closes the file.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-open-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// fs::write(&path, "hello").await?;
    /// let mut file = File::open(&path).await?;
    /// let mut two = [0; 2];
    /// file.read_exact(&mut two).await?;
    /// assert_eq!(&two, b"he");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = Opening::new();
        options.read(true);
        File::open_with(options, path.as_ref()).await
    }

    /// Opens a file for writing, which is created or truncated, like [`std::fs::File::create`].
    ///
    /// # Errors
    /// Returns `NotFound` if a directory of the path does not exist, and `PermissionDenied` if the
    /// file may not be written. See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future closes the file, which may already have been created or truncated.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-create-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"hello").await?;
    /// file.close().await?; // returns the error of the write, if any
    /// assert_eq!(fs::read(&path).await?, b"hello");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let options = Opening::from(options);
        File::open_with(options, path.as_ref()).await
    }

    /// Creates a new file for reading and writing, like [`std::fs::File::create_new`].
    ///
    /// # Errors
    /// Returns `AlreadyExists` if the path exists, and `NotFound` if a directory of it does not.
    /// See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future closes the file, which may already have been created.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-create-new-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// // Only one of several callers creates it.
    /// let path = folder.join("lock");
    /// File::create_new(&path).await?;
    /// let error = File::create_new(&path).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let options = Opening::from(options);
        File::open_with(options, path.as_ref()).await
    }

    pub(super) async fn open_with(options: Opening, path: &Path) -> io::Result<File> {
        let (file, reads_cached) = options.open(path).await?;
        Ok(File::new(file, path, reads_cached))
    }

    /// Wraps an open file. Error texts name it `path`.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-from-std-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// let mut file = File::from_std(std::fs::File::create(&path)?, &path);
    /// file.write_all(b"hello").await?;
    /// file.flush().await?;
    /// assert_eq!(fs::read(&path).await?, b"hello");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn from_std(file: std::fs::File, path: impl AsRef<Path>) -> File {
        let reads_cached = sys::is_readable(&file);
        File::new(file, path.as_ref(), reads_cached)
    }

    /// Waits for the pending write, and returns the underlying file, positioned where the next read
    /// would have begun.
    ///
    /// # Errors
    /// Returns the error of a pending write. Returns an error with the code ESPIPE if there is
    /// read-ahead data and the file cannot seek: read them first. The file is closed in both cases.
    /// See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future drops the file.
    ///
    /// # Examples
    /// ```
    /// use std::io::Read;
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncReadExt as _;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-into-std-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// fs::write(&path, "hello").await?;
    /// let mut file = File::open(&path).await?;
    /// file.read_exact(&mut [0; 2]).await?;
    /// let mut rest = String::new();
    /// file.into_std().await?.read_to_string(&mut rest)?; // this blocks the thread
    /// assert_eq!(rest, "llo");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn into_std(mut self) -> io::Result<std::fs::File> {
        self.run_after_write("flush", |_| Ok(())).await?;
        if !self.shared.buffer().unread().is_empty() {
            let e = io::Error::from_raw_os_error(libc::ESPIPE);
            return Err(self.failed("unwrap", e));
        }
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.file),
            // The job of a dropped `metadata` future still uses it.
            Err(shared) => shared.file.try_clone(),
        }
    }

    /// Reads from a position in the file into `buf`, and returns the number of bytes, like
    /// [`FileExt::read_at`](std::os::unix::fs::FileExt::read_at).
    ///
    /// Neither uses nor changes the position of the file, so several reads may run at the same
    /// time, each in a job of its own unless it finds everything in memory. May read fewer bytes
    /// than `buf` has; 0 bytes mean the end of the file. Does not wait for a pending write:
    /// [flush](crate::io::AsyncWriteExt::flush) it first.
    ///
    /// # Errors
    /// Returns an error with the code ESPIPE if the file cannot seek, and the other errors of
    /// pread(2). See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-read-at-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// fs::write(&path, "0123456789").await?;
    /// let file = File::open(&path).await?;
    /// let (mut one, mut other) = ([0; 2], [0; 2]);
    /// let first = file.read_at(&mut one, 1);
    /// let second = file.read_at(&mut other, 6);
    /// let (first, second) = runtime::join!(first, second);
    /// assert_eq!((first?, second?), (2, 2));
    /// assert_eq!((&one, &other), (b"12", b"67"));
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let length = buf.len().min(self.max_bytes);
        let buf = &mut buf[..length];
        let (start, at_end) = self.read_cached_at(buf, offset).await;
        if at_end || start == length {
            return Ok(start);
        }
        let (length, offset) = (length - start, offset + start as u64);
        let read = move |file: &std::fs::File| {
            let mut bytes = vec![0; length];
            let n = retry(|| file.read_at(&mut bytes, offset))?;
            bytes.truncate(n);
            Ok(bytes)
        };
        let bytes = match self.run("read", read).await {
            Err(_) if start > 0 => return Ok(start),
            result => result?,
        };
        let end = start + bytes.len();
        buf[start..end].copy_from_slice(&bytes);
        Ok(end)
    }

    /// Writes `buf` to a position in the file, and returns the number of bytes, like
    /// [`FileExt::write_at`](std::os::unix::fs::FileExt::write_at).
    ///
    /// Neither uses nor changes the position of the file, so several writes may run at the same
    /// time, each in a job of its own. Unlike [`write`](crate::io::AsyncWriteExt::write) it waits
    /// for the write and returns its error. May write fewer bytes than `buf` has. Does not wait for
    /// a pending write, and leaves read-ahead data as they are.
    ///
    /// # Errors
    /// Returns an error with the code ESPIPE if the file cannot seek, and the other errors of
    /// pwrite(2). See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the operation once it has begun.
    ///
    /// # Platform-specific behavior
    /// On Linux a file that was opened to append ignores the position: pwrite(2).
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-write-at-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// let file = File::create(&path).await?;
    /// file.write_at(b"world", 6).await?;
    /// file.write_at(b"hello ", 0).await?;
    /// assert_eq!(fs::read(&path).await?, b"hello world");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let bytes = buf[..buf.len().min(self.max_bytes)].to_vec();
        let write = move |file: &std::fs::File| retry(|| file.write_at(&bytes, offset));
        self.run("write", write).await
    }

    /// Returns another handle to the same open file, which shares its position, like
    /// [`std::fs::File::try_clone`].
    ///
    /// Waits for the pending write, and drops the read-ahead data, so that the position is where
    /// the next read would have begun. A file that cannot seek keeps its read-ahead data, and the
    /// other handle does not get them. Each handle reads ahead for itself: do not read by both in
    /// turn. From then on both handles run all reads on the pool.
    ///
    /// # Errors
    /// Returns the error of a pending write, and the system's error if no descriptor is available.
    /// See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-try-clone-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// fs::write(&path, "0123456789").await?;
    /// let mut file = File::open(&path).await?;
    /// file.read_exact(&mut [0; 2]).await?;
    /// let mut rest = String::new();
    /// file.try_clone().await?.read_to_string(&mut rest).await?;
    /// assert_eq!(rest, "23456789");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn try_clone(&mut self) -> io::Result<File> {
        self.run_after_write("duplicate", |_| Ok(())).await?;
        let file = self.shared.file.try_clone();
        let file = file.map_err(|e| self.failed("duplicate", e))?;
        // The position has a lock, which a job of the other handle holds while it reads.
        self.reads_cached = AtomicBool::new(false);
        Ok(File {
            max_bytes: self.max_bytes,
            ..File::new(file, &self.path, false)
        })
    }

    /// Sets the maximum number of bytes that one job reads ahead or one write accepts. Minimum 1,
    /// default 2 MiB.
    ///
    /// The file keeps a buffer of up to this size, and a write copies up to this many bytes. More
    /// bytes for each job are fewer switches between threads.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-max-buf-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// let mut file = File::create(&path).await?;
    /// file.set_max_buf_size(4);
    /// assert_eq!(file.max_buf_size(), 4);
    /// file.write_all(b"hello").await?; // two jobs
    /// file.flush().await?;
    /// assert_eq!(fs::read(&path).await?, b"hello");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_max_buf_size(&mut self, bytes: usize) {
        self.max_bytes = bytes.max(1);
    }

    /// Returns the maximum number of bytes that one job moves: see
    /// [`set_max_buf_size`](File::set_max_buf_size).
    pub fn max_buf_size(&self) -> usize {
        self.max_bytes
    }

    /// Waits until data and metadata of the file are on the disk, like [`std::fs::File::sync_all`].
    ///
    /// # Errors
    /// Returns the error of a pending write, and the errors of fsync(2). See the [module](super)
    /// for the others.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the operation once it has begun.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-sync-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let mut file = File::create(folder.join("file")).await?;
    /// file.write_all(b"must not be lost").await?;
    /// file.sync_all().await?;
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.run_after_write("sync", |file| file.sync_all()).await
    }

    /// Waits until the data of the file are on the disk, with the metadata needed to read them,
    /// like [`std::fs::File::sync_data`].
    ///
    /// # Errors
    /// Returns the error of a pending write, and the errors of fdatasync(2). See the
    /// [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the operation once it has begun.
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.run_after_write("sync", |file| file.sync_data()).await
    }

    /// Truncates the file, or extends it with zeros, like [`std::fs::File::set_len`].
    ///
    /// The position does not change.
    ///
    /// # Errors
    /// Returns the error of a pending write, and `InvalidInput` if the file is not writable. See
    /// the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the operation once it has begun.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    ///
    /// # runtime::block_on(async {
    /// # let name = format!("runtime-doc-set-len-{}", std::process::id());
    /// # let folder = std::env::temp_dir().join(name);
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// let mut file = File::create(&path).await?;
    /// file.set_len(1000).await?;
    /// assert_eq!(file.metadata().await?.len(), 1000);
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.run_after_write("set the length of", move |file| file.set_len(bytes))
            .await
    }

    /// Returns the metadata of the file. The metadata may not include a pending write.
    ///
    /// # Errors
    /// Returns the errors of fstat(2). See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        if self.reads_here() {
            consume_budget().await;
            let metadata = self.shared.file.metadata();
            return metadata.map_err(|e| self.failed("read the metadata of", e));
        }
        self.run("read the metadata of", |file| file.metadata())
            .await
    }

    /// Sets the permissions of the file, like [`std::fs::File::set_permissions`].
    ///
    /// # Errors
    /// Returns `PermissionDenied` if the file belongs to another user. See the [module](super) for
    /// the others.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the operation once it has begun.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let set = move |file: &std::fs::File| file.set_permissions(permissions);
        self.run("set the permissions of", set).await
    }

    async fn run<R: Send + 'static>(
        &self,
        what: &'static str,
        op: impl FnOnce(&std::fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let shared = self.shared.clone();
        let result = on_pool(what, move || op(&shared.file)).await;
        result.map_err(|e| self.failed(what, e))
    }

    fn failed(&self, what: &str, e: io::Error) -> io::Error {
        with_context(format!("{what} {}", self.path.display()), e)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.file.as_raw_fd()
    }
}

// After a panic its state is as valid as before: jobs run on other threads, and their panics become
// errors.
impl UnwindSafe for File {}
impl RefUnwindSafe for File {}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("file", &self.shared.file)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
