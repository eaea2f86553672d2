//! Files and directories, with the names of [`std::fs`].
//!
//! Regular files have no readiness to wait for: the system always reports them ready, and an
//! operation blocks the thread while the disk is busy. So every operation here runs on the blocking
//! pool, as one job. Reads and writes of a [`File`] move 64 KiB to 2 MiB for each job. The pool
//! starts its first thread with the first job.
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
mod open_options;
mod read_ahead;
mod read_dir;
mod write_error;

use std::io;
use std::path::{Path, PathBuf};

use runtime_executor::Handle;
use runtime_executor::internal::spawn_blocking_named;
use runtime_reactor::internal::with_context;

pub use dir_builder::DirBuilder;
pub use file::File;
pub use open_options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use std::fs::{FileType, Metadata, Permissions};
pub(crate) use write_error::WriteError;

/// Returns the handle of the current runtime, whose pool runs the jobs.
///
/// # Errors
/// Returns `Other` outside a runtime.
pub(crate) fn pool() -> io::Result<Handle> {
    Handle::try_current().ok_or_else(|| {
        io::Error::other(
            "file operations need a runtime, and none is entered on this thread: await them inside \
             one",
        )
    })
}

/// Runs `job` on the pool with `path`. The text of an error begins with `what` and the path.
async fn on_path<R: Send + 'static>(
    what: &'static str,
    path: &Path,
    job: impl FnOnce(&Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let owned = path.to_owned();
    let result = on_pool(what, move || job(&owned)).await;
    result.map_err(|e| with_context(format!("{what} {}", path.display()), e))
}

/// Runs `job` on the pool. `what` names it in a list of tasks.
async fn on_pool<R: Send + 'static>(
    what: &'static str,
    job: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let job = spawn_blocking_named(&pool()?, what, job);
    job.await.unwrap_or_else(|e| Err(e.into()))
}

/// Like [`on_path`], with two paths.
async fn on_paths<R: Send + 'static>(
    what: &'static str,
    (from, to): (&Path, &Path),
    job: impl FnOnce(&Path, &Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let owned = (from.to_owned(), to.to_owned());
    let result = on_pool(what, move || job(&owned.0, &owned.1)).await;
    result.map_err(|e| {
        let text = format!("{what} {} to {}", from.display(), to.display());
        with_context(text, e)
    })
}

/// Reads a whole file into memory, like [`std::fs::read`].
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
    on_path("read", path.as_ref(), |path| std::fs::read(path)).await
}

/// Reads a whole file into a string, like [`std::fs::read_to_string`].
///
/// # Errors
/// Returns `NotFound` if the file does not exist, and `InvalidData` if its contents are not UTF-8.
/// See the [module](self) for the others.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    on_path("read", path.as_ref(), |path| std::fs::read_to_string(path)).await
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
