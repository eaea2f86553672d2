//! Opening files, on the thread of the runtime if that does not wait.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use runtime_executor::consume_budget;

use super::job::{on_path, pool};
use crate::sys::cached::{self, Access};

/// Options for opening a file.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    std: OpenOptions,
    /// The options, if they are nothing but the access mode of a file that exists.
    access: Option<Access>,
}

impl Opening {
    pub(super) fn new() -> Opening {
        Opening {
            std: OpenOptions::new(),
            access: Some(Access::default()),
        }
    }

    pub(super) fn read(&mut self, read: bool) {
        self.std.read(read);
        self.set_access(|access| access.read = read);
    }

    pub(super) fn write(&mut self, write: bool) {
        self.std.write(write);
        self.set_access(|access| access.write = write);
    }

    pub(super) fn append(&mut self, append: bool) {
        self.std.append(append);
        self.set_access(|access| access.append = append);
    }

    fn set_access(&mut self, set: impl FnMut(&mut Access)) {
        self.access.as_mut().into_iter().for_each(set);
    }

    /// Returns the options, to set others than the access mode.
    pub(super) fn other(&mut self) -> &mut OpenOptions {
        self.access = None;
        &mut self.std
    }

    /// Opens a file that is in memory on this thread, and another one on the pool. Also returns
    /// true if the kernel may know whether its reads block.
    pub(super) async fn open(self, path: &Path) -> io::Result<(File, bool)> {
        if let (Some(access), Ok(_)) = (self.access, pool()) {
            consume_budget().await;
            if let Some(file) = cached::open(path, access) {
                return Ok((file, true));
            }
        }
        on_path("open", path, move |path| {
            let file = self.std.open(path)?;
            let is_readable = cached::is_readable(&file);
            Ok((file, is_readable))
        })
        .await
    }
}

impl From<OpenOptions> for Opening {
    fn from(options: OpenOptions) -> Opening {
        Opening {
            std: options,
            access: None,
        }
    }
}
