//! Files and directories, with the names of [`std::fs`].
//!
//! Regular files have no readiness to wait for: the system always reports them ready, and an
//! operation blocks the thread while the disk is busy. So the operations here run on the blocking
//! pool, as one job each. Reads and writes of a [`File`] move 64 KiB to 2 MiB for each job. The
//! pool starts its first thread with the first job.
//!
//! On Linux, a file that is in memory is opened and read on the thread of the runtime, without a
//! job. See [below](#platform-specific-behavior).
//!
//! # Errors
//! All functions return the errors of their namesakes in [`std::fs`], with the same kinds. The text
//! names operation and path, as in `open /etc/shadow: Permission denied (os error 13)`, and the
//! system's error is the [`source`](std::error::Error::source).
//! [`io::os_error`](crate::io::os_error) returns its number. All functions return an error of kind
//! `Other` outside a runtime, and if the runtime is dropped before the job has begun.
//!
//! # Cancel safety
//! Dropping a future cancels its job if no thread has begun it; otherwise the job runs to
//! completion on the pool. The same holds for dropping the runtime, except that it waits for the
//! writes of a [`File`] that have returned `Ok`.
//!
//! # Platform-specific behavior
//! The behavior is that of [`std::fs`]. The methods of std's extension traits are available through
//! [`File::into_std`] and [`spawn_blocking`](crate::spawn_blocking).
//!
//! On Linux 5.12 and later, some operations are first attempted on the thread, in a way that fails
//! if it would block: opening an existing file without further options, [`read`],
//! [`read_to_string`], [`metadata`], [`symlink_metadata`], [`try_exists`], and the reads, seeks and
//! [`metadata`](File::metadata) of a [`File`]. An attempt needs no thread. A job performs the
//! operation, or the rest of it, if
//! * the path or a part of the file is not in memory, or the path does not exist;
//! * it is not a regular file;
//! * the file system does not support such attempts. ext4, XFS and Btrfs do. tmpfs, overlayfs, FUSE
//!   and network file systems do not.
//!
//! The kernel guarantees that an attempt does not block: openat2(2) with `RESOLVE_CACHED` for
//! paths, preadv2(2) with `RWF_NOWAIT` for reads. Copying from memory also takes time, so a task
//! yields to others after about 1 MiB.
//!
//! # Examples
//! ```
//! use runtime::fs;
//!
//! # runtime::block_on(async {
//! let path = std::env::temp_dir().join(format!("runtime-doc-{}", std::process::id()));
//! fs::write(&path, "hello").await?;
//! assert_eq!(fs::read_to_string(&path).await?, "hello");
//! fs::remove_file(&path).await?;
//! let error = fs::read(&path).await.unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
//! let text = format!("read {}: No such file or directory (os error 2)", path.display());
//! assert_eq!(error.to_string(), text);
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod dir_builder;
mod file;
mod job;
mod open;
mod open_options;
mod piece;
mod read_ahead;
mod read_dir;
mod whole;
mod write_error;

use std::io;
use std::path::{Path, PathBuf};

use runtime_executor::consume_budget;

use crate::sys::cached;

pub use dir_builder::DirBuilder;
pub use file::File;
pub(crate) use job::pool;
use job::{on_path, on_paths};
pub use open_options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use std::fs::{FileType, Metadata, Permissions};
pub use whole::{read, read_to_string};
pub(crate) use write_error::WriteError;

/// Returns the metadata of a file if they are in memory.
async fn cached_metadata(path: &Path, follow: bool) -> Option<Metadata> {
    pool().ok()?;
    consume_budget().await;
    cached::metadata(path, follow)
}

/// Writes `contents` to a file, which is created or truncated, like [`std::fs::write`].
///
/// `contents` is copied, because the pool cannot borrow them.
///
/// # Errors
/// Returns `NotFound` if a directory of the path does not exist. See the [module](self) for the
/// others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun. The file is written in part
/// if the process ends in the meantime.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let contents = contents.as_ref().to_vec();
    on_path("write", path.as_ref(), move |path| {
        std::fs::write(path, contents)
    })
    .await
}

/// Copies the contents and permissions of a file, like [`std::fs::copy`].
///
/// Returns the number of bytes copied. Uses the system calls that std uses (copy_file_range(2),
/// fclonefileat(2)).
///
/// # Errors
/// Returns `NotFound` if `from` does not exist. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-copy-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let (from, to) = (folder.join("from"), folder.join("to"));
/// fs::write(&from, "hello").await?;
/// assert_eq!(fs::copy(&from, &to).await?, 5);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let paths = (from.as_ref(), to.as_ref());
    on_paths("copy", paths, |from, to| std::fs::copy(from, to)).await
}

/// Renames a file or directory, replacing `to` if it exists, like [`std::fs::rename`].
///
/// # Errors
/// Returns `NotFound` if `from` does not exist, and `CrossesDevices` if `to` is on another file
/// system. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-rename-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// // Readers see either the old contents or the new, never a part:
/// let (new, path) = (folder.join("file.new"), folder.join("file"));
/// fs::write(&new, "all of it").await?;
/// fs::rename(&new, &path).await?;
/// assert_eq!(fs::read_to_string(&path).await?, "all of it");
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let paths = (from.as_ref(), to.as_ref());
    on_paths("rename", paths, |from, to| std::fs::rename(from, to)).await
}

/// Creates a hard link, like [`std::fs::hard_link`].
///
/// `link` becomes another name of the file `original`. The platform decides whether a symbolic link
/// `original` is followed.
///
/// # Errors
/// Returns `NotFound` if `original` does not exist, and `AlreadyExists` if `link` exists. See the
/// [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-hard-link-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let (file, other) = (folder.join("file"), folder.join("other"));
/// fs::write(&file, "hello").await?;
/// fs::hard_link(&file, &other).await?;
/// fs::remove_file(&file).await?;
/// assert_eq!(fs::read_to_string(&other).await?, "hello");
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let paths = (original.as_ref(), link.as_ref());
    on_paths("hard link", paths, |from, to| std::fs::hard_link(from, to)).await
}

/// Creates a symbolic link, like [`std::os::unix::fs::symlink`].
///
/// `link` will contain the path `original`, which need not exist.
///
/// # Errors
/// Returns `AlreadyExists` if `link` exists. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-symlink-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let link = folder.join("link");
/// fs::symlink("elsewhere", &link).await?;
/// assert_eq!(fs::read_link(&link).await?, std::path::Path::new("elsewhere"));
/// assert!(fs::symlink_metadata(&link).await?.is_symlink());
/// assert!(!fs::try_exists(&link).await?); // its target does not exist
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let paths = (original.as_ref(), link.as_ref());
    let symlink = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to);
    on_paths("symlink", paths, symlink).await
}

/// Returns the path that a symbolic link contains, like [`std::fs::read_link`].
///
/// # Errors
/// Returns `InvalidInput` if the file is not a symbolic link, and `NotFound` if it does not exist.
/// See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    on_path("read the symbolic link", path.as_ref(), |path| {
        std::fs::read_link(path)
    })
    .await
}

/// Returns the metadata of a file, following symbolic links, like [`std::fs::metadata`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-metadata-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let path = folder.join("file");
/// fs::write(&path, "hello").await?;
/// assert_eq!(fs::metadata(&path).await?.len(), 5);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    if let Some(metadata) = cached_metadata(path.as_ref(), true).await {
        return Ok(metadata);
    }
    on_path("read the metadata of", path.as_ref(), |path| {
        std::fs::metadata(path)
    })
    .await
}

/// Returns the metadata of a file without following symbolic links, like
/// [`std::fs::symlink_metadata`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    if let Some(metadata) = cached_metadata(path.as_ref(), false).await {
        return Ok(metadata);
    }
    on_path("read the metadata of", path.as_ref(), |path| {
        std::fs::symlink_metadata(path)
    })
    .await
}

/// Sets the permissions of a file, like [`std::fs::set_permissions`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist, and `PermissionDenied` if it belongs to another
/// user. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-permissions-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let path = folder.join("file");
/// fs::write(&path, "hello").await?;
/// let mut permissions = fs::metadata(&path).await?.permissions();
/// permissions.set_readonly(true);
/// fs::set_permissions(&path, permissions).await?;
/// assert!(fs::metadata(&path).await?.permissions().readonly());
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    on_path("set the permissions of", path.as_ref(), |path| {
        std::fs::set_permissions(path, permissions)
    })
    .await
}

/// Returns true if a file exists, following symbolic links, like [`std::fs::exists`].
///
/// # Errors
/// Returns an error if the existence cannot be determined, such as `PermissionDenied` for a
/// directory that may not be searched. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    if cached_metadata(path.as_ref(), true).await.is_some() {
        return Ok(true);
    }
    on_path("check the existence of", path.as_ref(), |path| {
        std::fs::exists(path)
    })
    .await
}

/// Returns the absolute path without symbolic links, like [`std::fs::canonicalize`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-canonicalize-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// fs::create_dir(folder.join("a")).await?;
/// let path = fs::canonicalize(folder.join("a/..")).await?;
/// assert_eq!(path, fs::canonicalize(&folder).await?);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    on_path("canonicalize", path.as_ref(), |path| {
        std::fs::canonicalize(path)
    })
    .await
}

/// Creates an empty directory, like [`std::fs::create_dir`].
///
/// # Errors
/// Returns `AlreadyExists` if the path exists, and `NotFound` if its parent does not. See the
/// [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("create directory", path.as_ref(), |path| {
        std::fs::create_dir(path)
    })
    .await
}

/// Creates a directory and its missing parents, like [`std::fs::create_dir_all`].
///
/// # Errors
/// Returns `NotADirectory` or `AlreadyExists` if a part of the path is a file. Directories created
/// before the error remain. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-create-dir-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// # fs::create_dir_all(&folder).await?;
/// let deep = folder.join("a/b/c");
/// fs::create_dir_all(&deep).await?;
/// fs::create_dir_all(&deep).await?; // not an error if it exists
/// fs::remove_dir(&deep).await?;
/// assert!(fs::try_exists(folder.join("a/b")).await?);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("create directory", path.as_ref(), |path| {
        std::fs::create_dir_all(path)
    })
    .await
}

/// Removes a file, like [`std::fs::remove_file`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist, and `IsADirectory` or `PermissionDenied` if it is
/// a directory. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("remove", path.as_ref(), |path| std::fs::remove_file(path)).await
}

/// Removes an empty directory, like [`std::fs::remove_dir`].
///
/// # Errors
/// Returns `NotFound` if the directory does not exist, and `DirectoryNotEmpty` if it is not empty.
/// See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("remove directory", path.as_ref(), |path| {
        std::fs::remove_dir(path)
    })
    .await
}

/// Removes a directory and its contents, like [`std::fs::remove_dir_all`].
///
/// Symbolic links are removed, not followed.
///
/// # Errors
/// Returns `NotFound` if the directory does not exist. What was removed before an error remains
/// removed. See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future does not stop the operation once it has begun.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("remove directory", path.as_ref(), |path| {
        std::fs::remove_dir_all(path)
    })
    .await
}
