//! Files for tests.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is removed on drop.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    /// Creates a file in the target directory, which is on a disk more often than /tmp.
    pub(crate) fn new(name: &str, contents: &[u8]) -> TempFile {
        TempFile::within(Path::new(env!("CARGO_TARGET_TMPDIR")), name, contents)
    }

    /// Creates a file in a directory.
    pub(crate) fn within(folder: &Path, name: &str, contents: &[u8]) -> TempFile {
        let path = folder.join(format!("runtime-{name}-{}", std::process::id()));
        fs::write(&path, contents).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns a pattern of bytes.
pub(crate) fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect()
}
