//! Reading whole files.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read};
use std::path::Path;
use std::task::{Context, Poll, ready};

use runtime_executor::consume_budget;
use runtime_executor::internal::Proceed;
use runtime_reactor::internal::with_context;

use super::job::{on_path, on_pool, pool};
use super::piece::{PIECE_BYTES, weight};
use crate::sys::cached::{self, Attempt, ToRead};

/// The maximum number of bytes that are checked to be UTF-8 on the thread that asks for them.
const MAX_CHECKED_BYTES: usize = 1024 * 1024;

/// Reads a whole file into memory, like [`std::fs::read`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist. See the [module](super) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-read-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let path = folder.join("file");
/// fs::write(&path, [1, 2, 3]).await?;
/// assert_eq!(fs::read(&path).await?, [1, 2, 3]);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    match open(path).await {
        Some(ToRead::Regular(file, size)) => {
            let mut part = Part::new(file, size);
            if poll_fn(|cx| part.poll_read(cx)).await {
                return Ok(part.bytes);
            }
            return on_path("read", path, move |_| part.read_rest()).await;
        }
        Some(ToRead::Other(mut file)) => {
            let read = move |_: &Path| {
                cached::wait_for_writer(&file);
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            return on_path("read", path, read).await;
        }
        None => {}
    }
    on_path("read", path, |path| {
        let mut file = File::open(path)?;
        // Makes the file system known, so that its next file may be read without this job.
        cached::is_readable(&file);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    })
    .await
}

/// Reads a whole file into a string, like [`std::fs::read_to_string`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist, and `InvalidData` if its contents are not UTF-8.
/// See the [module](super) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    let bytes = read(path).await?;
    let text = if bytes.len() <= MAX_CHECKED_BYTES {
        checked(bytes)
    } else {
        on_pool("check", move || checked(bytes)).await
    };
    text.map_err(|e| with_context(format!("read {}", path.display()), e))
}

fn checked(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Opens a file that is in memory.
async fn open(path: &Path) -> Option<ToRead> {
    pool().ok()?;
    consume_budget().await;
    cached::open_for_reading(path)
}

/// A regular file and the part of it that was read.
struct Part {
    file: File,
    bytes: Vec<u8>,
    proceed: Proceed,
}

impl Part {
    fn new(file: File, size: u64) -> Part {
        let mut bytes = Vec::new();
        // One byte more, so that the end is found without growing. Where there is no memory for
        // that, the job returns the error.
        let capacity = usize::try_from(size).unwrap_or(usize::MAX);
        let _ = bytes.try_reserve_exact(capacity.saturating_add(1));
        Part {
            file,
            bytes,
            proceed: Proceed::default(),
        }
    }

    /// Reads what is in memory. Returns true at the end of the file, and false if a job must read
    /// the rest.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            // The file has grown, or is too large.
            let is_full = self.bytes.len() == self.bytes.capacity();
            if is_full && self.bytes.try_reserve(PIECE_BYTES).is_err() {
                return Poll::Ready(false);
            }
            let spare = self.bytes.capacity() - self.bytes.len();
            ready!(
                self.proceed
                    .poll_weighted(cx, weight(spare.min(PIECE_BYTES)))
            );
            match cached::read_to_end_of(&mut self.bytes, &self.file, PIECE_BYTES) {
                Attempt::Read(0) => return Poll::Ready(true),
                Attempt::Read(_) => {}
                Attempt::Blocked | Attempt::Unsupported => return Poll::Ready(false),
            }
        }
    }

    /// Reads what is not in memory. Blocks.
    fn read_rest(mut self) -> io::Result<Vec<u8>> {
        cached::set_blocking(&self.file);
        self.file.read_to_end(&mut self.bytes)?;
        Ok(self.bytes)
    }
}
