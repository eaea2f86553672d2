//! Files for tests.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

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

/// A thread that writes to the disk of the target directory without a pause, until this is dropped.
/// A read of another file then takes long enough for the kernel to see that it would block.
pub(crate) struct BusyDisk {
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl BusyDisk {
    pub(crate) fn new() -> BusyDisk {
        let file = TempFile::new("busy", &[]);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let writer = thread::spawn(move || {
            let writer = fs::File::create(&file.0).unwrap();
            let data = vec![1; 4 << 20];
            while !stopped.load(Ordering::Relaxed) {
                writer.write_all_at(&data, 0).unwrap();
                writer.sync_data().unwrap();
            }
        });
        BusyDisk {
            stop,
            writer: Some(writer),
        }
    }
}

impl Drop for BusyDisk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            writer.join().unwrap();
        }
    }
}
