//! What lies in a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime_executor::JoinHandle;
use runtime_reactor::internal::with_context;

use super::{FileType, Metadata, on_path, pool};

/// So many entries are read in one job at the most.
const MAX_CHUNK_ENTRIES: usize = 128;

/// Opens a directory to read what lies in it, in no particular order. As [`std::fs::read_dir`].
///
/// # Errors
/// As there, and as the [module](super) says.
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

/// The entries of a directory, as a [`Stream`] of results. Up to 128 are read at once, on the
/// blocking pool.
pub struct ReadDir {
    path: Arc<Path>,
    /// The job's while there is one, and else ours, so that nobody waits for the lock. A job that
    /// dies with its runtime does not take it along.
    chunk: Arc<Mutex<Chunk>>,
    reading: Option<JoinHandle<()>>,
}

/// What was read and not given out yet, and where more comes from.
struct Chunk {
    /// `None` after the end.
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
    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// What readdir(3) says; then there are no more entries, as in std. And as the [module](super)
    /// says: an error of the runtime loses no entry, and the next call goes on.
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
            self.reading = Some(pool.spawn_blocking(move || lock(&chunk).fill()));
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

/// One name in a directory.
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

    /// Its path: that of the directory, as it was given, and its name.
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// Its name.
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// What there is to know of it; a symbolic link is not followed.
    ///
    /// # Errors
    /// As [`std::fs::DirEntry::metadata`], and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let entry = self.entry.clone();
        on_path("look at", &self.path(), move |_| entry.metadata()).await
    }

    /// Whether it is a file, a directory or something else; a symbolic link is not followed.
    ///
    /// # Errors
    /// As [`std::fs::DirEntry::file_type`], and as the [module](super) says.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Platform notes
    /// Most file systems tell it with the name; it is asked on the pool all the same, for those
    /// where it has to be looked up.
    pub async fn file_type(&self) -> io::Result<FileType> {
        let entry = self.entry.clone();
        on_path("look at", &self.path(), move |_| entry.file_type()).await
    }
}
