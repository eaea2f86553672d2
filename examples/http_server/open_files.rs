//! Files that stay open for the next request.
//!
//! Opening a file and describing it costs more than sending a small one. So a file stays open for a
//! second at most, and each further request asks the system whether it is unchanged. That notices
//! any change of the file, and that it was replaced, renamed or removed. A renamed directory, whose
//! files do not change by it, is noticed after that second.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use hyper::header::{ACCEPT_RANGES, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED};
use runtime::compat::hyper::SharedFile;
use runtime::fs;
use runtime::task::JoinSet;
use runtime::time::{Duration, sleep};

use super::files::valid;

/// The time for which a file stays open.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The open files of a directory, by the paths of their URLs.
pub(crate) struct OpenFiles {
    files: RefCell<HashMap<Box<str>, Rc<OpenFile>>>,
    limit: usize,
    /// The task that closes the files.
    closing: RefCell<JoinSet<()>>,
}

/// An open file, and the headers of its responses.
pub(crate) struct OpenFile {
    pub(crate) file: Arc<fs::File>,
    /// The same file for `FileBody`s.
    pub(crate) shared: SharedFile,
    pub(crate) length: u64,
    pub(crate) tag: HeaderValue,
    pub(crate) headers: HeaderMap,
    version: Version,
}

/// The properties of a file of which each change changes one.
#[derive(PartialEq)]
struct Version {
    length: u64,
    /// 0 if the file was removed or replaced.
    links: u64,
    /// The time of the last change, also of the name or the permissions.
    changed: (i64, i64),
}

impl OpenFiles {
    /// Creates an empty collection of at most `limit` files.
    pub(crate) fn new(limit: usize) -> Rc<OpenFiles> {
        Rc::new(OpenFiles {
            files: RefCell::default(),
            limit,
            closing: RefCell::new(JoinSet::new()),
        })
    }

    /// Returns the file of a path if it is open and unchanged. Closes one that has changed.
    pub(crate) fn get(&self, path: &str) -> Option<Rc<OpenFile>> {
        let mut files = self.files.borrow_mut();
        let file = files.get(path)?;
        if file.is_unchanged() {
            return Some(file.clone());
        }
        files.remove(path);
        None
    }

    /// Keeps a file open. If there are too many, the others are closed.
    pub(crate) fn insert(self: &Rc<Self>, path: &str, file: Rc<OpenFile>) {
        if self.limit == 0 || !CAN_CHECK || !file.version.is_settled() {
            return;
        }
        let mut files = self.files.borrow_mut();
        if files.len() >= self.limit {
            files.clear();
        }
        files.insert(path.into(), file);
        drop(files);
        let mut closing = self.closing.borrow_mut();
        while closing.try_join_next().is_some() {}
        if closing.is_empty() {
            let files = Rc::downgrade(self);
            closing.spawn(async move {
                sleep(MAX_AGE).await;
                if let Some(files) = files.upgrade() {
                    files.close();
                }
            });
        }
    }

    /// Closes all files. Those that are being sent are closed after that. Returns true if there
    /// were any.
    pub(crate) fn close(&self) -> bool {
        let files = self.files.take();
        !files.is_empty()
    }
}

impl OpenFile {
    pub(crate) fn new(file: File, metadata: &Metadata, content_type: &'static str) -> OpenFile {
        let length = metadata.len();
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        let tag = valid(format!("\"{length:x}-{seconds:x}-{nanoseconds:x}\""));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(ETAG, tag.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(modified) = metadata.modified() {
            let modified = httpdate::fmt_http_date(modified);
            headers.insert(LAST_MODIFIED, valid(modified));
        }
        // The name does not matter: no response contains an error of the file.
        let file = Arc::new(fs::File::from_std(file, ""));
        OpenFile {
            shared: SharedFile::new(file.clone()),
            file,
            length,
            tag,
            headers,
            version: Version {
                length,
                links: metadata.nlink(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            },
        }
    }

    /// Returns true if the file is as it was when it was opened, and still has its name. Does not
    /// block.
    #[cfg(target_os = "linux")]
    fn is_unchanged(&self) -> bool {
        use rustix::fs::{AtFlags, StatxFlags, statx};

        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let status = statx(&*self.file, c"", flags, StatxFlags::BASIC_STATS);
        status.is_ok_and(|status| {
            let changed = status.stx_ctime;
            let version = Version {
                length: status.stx_size,
                links: status.stx_nlink.into(),
                changed: (changed.tv_sec, changed.tv_nsec.into()),
            };
            version == self.version
        })
    }

    /// Returns false: other systems may have to wait for the answer.
    #[cfg(not(target_os = "linux"))]
    fn is_unchanged(&self) -> bool {
        false
    }
}

impl Version {
    /// Returns true if a further change will show. The times that systems record may be as coarse
    /// as 10 ms, so a file that has just changed could change again at the same time.
    fn is_settled(&self) -> bool {
        const MAX_TICK: Duration = Duration::from_millis(100);
        let (seconds, nanoseconds) = self.changed;
        let changed = u64::try_from(seconds).ok().zip(nanoseconds.try_into().ok());
        let age = changed.and_then(|(seconds, nanoseconds)| {
            let changed = UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?;
            changed.elapsed().ok()
        });
        // Without links it was removed before it was described.
        self.links > 0 && age.is_some_and(|age| age > MAX_TICK)
    }
}

/// True if the system can say at once whether a file is unchanged.
const CAN_CHECK: bool = cfg!(target_os = "linux");
