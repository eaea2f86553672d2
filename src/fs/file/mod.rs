//! An open file.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_reactor::internal::with_context;

use super::read_ahead::Buffer;
use super::{Metadata, OpenOptions, Permissions, pool};
use jobs::State;

mod jobs;

/// An open file, for reading, writing and seeking on the blocking pool.
///
/// A file does one thing at a time. Reading reads ahead, 64 KiB to 2 MiB at once, as the buffers
/// it is given are large; what was read ahead is forgotten when the file is written to or moved, and
/// read anew if it is needed. Of what cannot seek (a named pipe, a socket) it is kept, and read next.
/// Writing copies up to 2 MiB and **is done in the background**: the next operation waits for it.
/// Each write is a job, so wrap the file in a [`BufWriter`](crate::io::BufWriter) for small ones.
///
/// # Errors
/// An error names the operation and the path. **That of a write is told by the next `write`,
/// `flush`, `close` or seek, [`sync_all`](File::sync_all) or [`into_std`](File::into_std)**, whichever
/// comes first. Then it is forgotten, and the file can go on to be used; how much of the failed write is in
/// the file is not known.
///
/// # Dropping it
/// without a flush or close leaves a write that was begun to the pool: it is finished, unless the
/// process or the runtime ends first, and its error is told to nobody. A write that succeeded
/// is therefore one after which `flush` or `close` did.
///
/// # Cancel safety
/// A read that is dropped loses nothing: the next one gets what it read. A write that returned
/// `Pending` has done nothing. A seek that is dropped may have happened; if the next operation is the
/// same seek again, it is not done twice, and gets the answer of the first.
///
/// # When the runtime ends
/// What had not begun by then does not happen, and is an error (`Other`) for whoever waits for it. The
/// position stays where it was, and in another runtime the file can be used further.
///
/// # Platform notes
/// What claims that it can seek but cannot, such as terminals on some systems (lseek(2)), loses what
/// was read ahead when it is written to: use [`io::Async`](crate::io::Async) for those.
///
/// # Examples
/// ```
/// use runtime::fs::File;
/// use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
///
/// # runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("runtime-doc-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create(true).open(&path).await?;
/// file.write_all(b"hello").await?;
/// file.flush().await?; // now it is in the file, or we would know
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
    /// Of a write that was finished in the background, and not told yet.
    write_error: Option<io::Error>,
}

/// What a job needs.
struct Shared {
    file: std::fs::File,
    /// Nobody waits for this lock: it is the job's while there is one, and else the file's. It does not
    /// move with the job, since one that dies with its runtime would take along what was read
    /// ahead, and how far that is.
    buffer: Mutex<Buffer>,
}

impl Shared {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    pub(super) fn new(file: std::fs::File, path: &Path) -> File {
        File {
            shared: Arc::new(Shared {
                file,
                buffer: Mutex::default(),
            }),
            path: path.into(),
            state: State::Idle,
            write_error: None,
        }
    }

    /// Opens a file for reading. As [`std::fs::File::open`].
    ///
    /// # Errors
    /// As there, and as the [module](super) says.
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
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-open-{}", std::process::id()));
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
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing, which is made, or else emptied. As [`std::fs::File::create`].
    ///
    /// # Errors
    /// As there, and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future closes the file; it may have been made or emptied.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-create-{}", std::process::id()));
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"hello").await?;
    /// file.close().await?; // says whether it was written
    /// assert_eq!(fs::read(&path).await?, b"hello");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        options.open(path).await
    }

    /// Makes a file for reading and writing. As [`std::fs::File::create_new`].
    ///
    /// # Errors
    /// `AlreadyExists` if there is one; else as there, and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future closes the file; it may have been made.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    ///
    /// # runtime::block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-create-new-{}", std::process::id()));
    /// # fs::create_dir_all(&folder).await?;
    /// // Only one of those who try makes it.
    /// let path = folder.join("lock");
    /// File::create_new(&path).await?;
    /// let error = File::create_new(&path).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(path).await
    }

    /// Options to choose how to open a file.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over an open file. Errors will call it `path`.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-from-std-{}", std::process::id()));
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
        File::new(file, path.as_ref())
    }

    /// Gives back std's file, at the position where its user thinks it is.
    ///
    /// # Errors
    /// That of a write that was not told yet. ESPIPE if something was read ahead and cannot be given
    /// back, because the file cannot seek: then read it first. And as the [module](super) says. The file
    /// is closed then.
    ///
    /// # Cancel safety
    /// Dropping the future is dropping the file.
    ///
    /// # Examples
    /// ```
    /// use std::io::Read;
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncReadExt as _;
    ///
    /// # runtime::block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-into-std-{}", std::process::id()));
    /// # fs::create_dir_all(&folder).await?;
    /// let path = folder.join("file");
    /// fs::write(&path, "hello").await?;
    /// let mut file = File::open(&path).await?;
    /// file.read_exact(&mut [0; 2]).await?;
    /// let mut rest = String::new();
    /// file.into_std().await?.read_to_string(&mut rest)?; // it blocks from here on
    /// assert_eq!(rest, "llo");
    /// # fs::remove_dir_all(&folder).await?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn into_std(mut self) -> io::Result<std::fs::File> {
        self.run_after_write("flush", |_| Ok(())).await?;
        if !self.shared.buffer().unread().is_empty() {
            let e = io::Error::from_raw_os_error(libc::ESPIPE);
            return Err(self.failed("give back", e));
        }
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.file),
            // A `metadata` that nobody waited for still has a share of it.
            Err(shared) => shared.file.try_clone(),
        }
    }

    /// Waits until what was written is on the disk, with all that is known of the file. As
    /// [`std::fs::File::sync_all`].
    ///
    /// # Errors
    /// That of a write that was not told yet; else as there, and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop it once it has begun.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    /// use runtime::io::AsyncWriteExt;
    ///
    /// # runtime::block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-sync-{}", std::process::id()));
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

    /// As [`sync_all`](File::sync_all), without what is not needed to read it again. As
    /// [`std::fs::File::sync_data`].
    ///
    /// # Errors
    /// As `sync_all`.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop it once it has begun.
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.run_after_write("sync", |file| file.sync_data()).await
    }

    /// Cuts the file, or fills it up with zeros. As [`std::fs::File::set_len`]: the position stays.
    ///
    /// # Errors
    /// That of a write that was not told yet; else as there, and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop it once it has begun.
    ///
    /// # Examples
    /// ```
    /// use runtime::fs::{self, File};
    ///
    /// # runtime::block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("runtime-doc-set-len-{}", std::process::id()));
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

    /// What there is to know of the file. A write that was not flushed may not show yet.
    ///
    /// # Errors
    /// As [`std::fs::File::metadata`], and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.run("look at", |file| file.metadata()).await
    }

    /// Changes the permissions of the file. As [`std::fs::File::set_permissions`].
    ///
    /// # Errors
    /// As there, and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop it once it has begun.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let set = move |file: &std::fs::File| file.set_permissions(permissions);
        self.run("set the permissions of", set).await
    }

    async fn run<R: Send + 'static>(
        &self,
        what: &str,
        op: impl FnOnce(&std::fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let shared = self.shared.clone();
        let result = match pool() {
            Ok(pool) => pool.spawn_blocking(move || op(&shared.file)).await,
            Err(e) => Ok(Err(e)),
        };
        let result = result.unwrap_or_else(|e| Err(e.into()));
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

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("file", &self.shared.file)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
