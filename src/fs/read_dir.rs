//! The entries of a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_executor::JoinHandle;
use runtime_executor::internal::spawn_blocking_named;
use runtime_reactor::internal::with_context;

use super::{FileType, Metadata, on_path, pool};

/// The maximum number of entries that one job reads.
const MAX_CHUNK_ENTRIES: usize = 128;

/// Opens a directory to read its entries, in no particular order, like [`std::fs::read_dir`].
///
/// # Errors
/// Returns `NotFound` if the directory does not exist, `NotADirectory` if the path is not a
/// directory, and `PermissionDenied` if it may not be read. See the [module](super) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let mut entries = runtime::fs::read_dir(".").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     println!("{}", entry.path().display());
/// }
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let entries = on_path("read directory", path, |path| std::fs::read_dir(path)).await?;
    Ok(ReadDir {
        path: path.into(),
        chunk: Arc::new(Mutex::new(Chunk {
            entries: Some(entries),
            read: VecDeque::new(),
        })),
        reading: None,
    })
}

/// A [`Stream`] of the entries of a directory, created by [`read_dir`].
///
/// Each job on the blocking pool reads up to 128 entries.
#[must_use = "streams do nothing unless polled"]
pub struct ReadDir {
    path: Arc<Path>,
    /// Used by the job while there is one, and otherwise by `ReadDir`, so that the lock is never
    /// contended. It is shared, not moved into the job, so that it outlives a canceled job.
    chunk: Arc<Mutex<Chunk>>,
    reading: Option<JoinHandle<()>>,
}

/// Entries that were read but not yet returned, and the rest of the directory.
struct Chunk {
    /// `None` once the end was reached.
    entries: Option<std::fs::ReadDir>,
    read: VecDeque<io::Result<DirEntry>>,
}

fn lock(chunk: &Mutex<Chunk>) -> MutexGuard<'_, Chunk> {
    chunk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chunk {
    fn fill(&mut self) {
        while self.read.len() < MAX_CHUNK_ENTRIES {
            match self.entries.as_mut().and_then(Iterator::next) {
                Some(entry) => self.read.push_back(entry.map(DirEntry::new)),
                None => {
                    self.entries = None;
                    break;
                }
            }
        }
    }
}

impl ReadDir {
    /// Returns the next entry, or `None` at the end.
    ///
    /// # Errors
    /// Returns the error of readdir(3), after which there are no more entries, as in std. Returns
    /// `Other` outside a runtime and if the runtime is dropped in the meantime; this loses no
    /// entry, and the next call continues.
    ///
    /// # Cancel safety
    /// Dropping the future loses no entry.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await.transpose()
    }

    fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<DirEntry>>> {
        loop {
            if let Some(job) = &mut self.reading {
                let ended = ready!(Pin::new(job).poll(cx));
                self.reading = None;
                if let Err(e) = ended {
                    return Poll::Ready(Some(Err(self.failed(e.into()))));
                }
            }
            let mut chunk = lock(&self.chunk);
            if let Some(entry) = chunk.read.pop_front() {
                return Poll::Ready(Some(entry.map_err(|e| self.failed(e))));
            }
            if chunk.entries.is_none() {
                return Poll::Ready(None);
            }
            drop(chunk);
            let pool = match pool() {
                Ok(pool) => pool,
                Err(e) => return Poll::Ready(Some(Err(self.failed(e)))),
            };
            let chunk = self.chunk.clone();
            self.reading = Some(spawn_blocking_named(&pool, "read directory", move || {
                lock(&chunk).fill();
            }));
        }
    }

    fn failed(&self, e: io::Error) -> io::Error {
        with_context(format!("read directory {}", self.path.display()), e)
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_entry(cx)
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub struct DirEntry {
    entry: Arc<std::fs::DirEntry>,
}

impl DirEntry {
    fn new(entry: std::fs::DirEntry) -> DirEntry {
        DirEntry {
            entry: Arc::new(entry),
        }
    }

    /// Returns the path: that passed to [`read_dir`], joined with the name of the entry.
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// Returns the name of the entry.
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// Returns the number of the inode, which the directory has stored: no job is needed.
    ///
    /// # Platform-specific behavior
    /// For a mount point it is the number of the directory below the mounted file system.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let mut entries = runtime::fs::read_dir(".").await?;
    /// while let Some(entry) = entries.next_entry().await? {
    ///     println!("{} {}", entry.ino(), entry.path().display());
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn ino(&self) -> u64 {
        self.entry.ino()
    }

    /// Returns the metadata of the entry, without following a symbolic link.
    ///
    /// # Errors
    /// Returns `NotFound` if the entry was removed in the meantime. See the [module](super) for the
    /// others.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing on the disk.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let entry = self.entry.clone();
        on_path("read the metadata of", &self.path(), move |_| {
            entry.metadata()
        })
        .await
    }

    /// Returns the type of the entry, without following a symbolic link.
    ///
    /// # Errors
    /// Returns `NotFound` if the entry was removed in the meantime. See the [module](super) for the
    /// others.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing on the disk.
    ///
    /// # Platform-specific behavior
    /// Most file systems store the type with the name. The query still runs on the pool, for file
    /// systems that have to look it up.
    pub async fn file_type(&self) -> io::Result<FileType> {
        let entry = self.entry.clone();
        on_path("read the metadata of", &self.path(), move |_| {
            entry.file_type()
        })
        .await
    }
}
