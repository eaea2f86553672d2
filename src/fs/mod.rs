//! Files and directories, with the names of [`std::fs`].
//!
//! A disk cannot be waited for: the system calls a regular file ready at any time, and lets the
//! thread wait while the disk is busy. So everything here happens on the blocking pool, one job a
//! call; a [`File`] moves up to 2 MiB a job and at least asks for 64 KiB, so that small reads do not
//! cost a job each. The pool starts its first thread with the first job.
//!
//! # Errors
//! Every error says what was being done to which path (`open /etc/shadow: Permission denied (os
//! error 13)`); its kind is that of std, and the error of the system is its
//! [`source`](std::error::Error::source). Outside a runtime everything here is an error.
//!
//! # Cancel safety
//! What is dropped while it is being awaited either has not begun, and does not happen, or goes on
//! to its end in the pool. The same holds for the end of the runtime.
//!
//! # Platform notes
//! Those of [`std::fs`]: this adds none of its own. Paths of the same file compare as the file
//! system has it; [`set_permissions`] knows no more than its bits; [`remove_dir_all`] does not follow
//! symbolic links; [`hard_link`] of a symbolic link follows it or not as the platform has it. What
//! std only offers in its extension traits is reached by [`File::into_std`] and
//! [`spawn_blocking`](crate::spawn_blocking).
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
//! assert_eq!(error.to_string(), format!("read {}: No such file or directory (os error 2)", path.display()));
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod file;
mod open_options;
mod read_ahead;
mod read_dir;

use std::io;
use std::path::{Path, PathBuf};

use runtime_executor::Handle;
use runtime_reactor::internal::with_context;

pub use file::File;
pub use open_options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use std::fs::{FileType, Metadata, Permissions};

/// Where jobs go: the runtime that this thread belongs to.
///
/// # Errors
/// If it belongs to none.
pub(crate) fn pool() -> io::Result<Handle> {
    Handle::try_current().ok_or_else(|| {
        io::Error::other("files need a runtime, and none drives this thread: await this inside one")
    })
}

/// Does `job` to `path` on the pool; an error begins with `what` and the path.
async fn on_path<R: Send + 'static>(
    what: &str,
    path: &Path,
    job: impl FnOnce(&Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let owned = path.to_owned();
    let result = match pool() {
        Ok(pool) => pool.spawn_blocking(move || job(&owned)).await,
        Err(e) => Ok(Err(e)),
    };
    let result = result.unwrap_or_else(|e| Err(e.into()));
    result.map_err(|e| with_context(format!("{what} {}", path.display()), e))
}

/// As [`on_path`], with two.
async fn on_paths<R: Send + 'static>(
    what: &str,
    (from, to): (&Path, &Path),
    job: impl FnOnce(&Path, &Path) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let what = format!("{what} {} to", from.display());
    let from = from.to_owned();
    on_path(&what, to, move |to| job(&from, to)).await
}

/// Reads a whole file into memory, in one job. As [`std::fs::read`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-read-{}", std::process::id()));
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

/// Reads a whole file that is UTF-8, in one job. As [`std::fs::read_to_string`].
///
/// # Errors
/// As there (`InvalidData` if it is not UTF-8), and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    on_path("read", path.as_ref(), |path| std::fs::read_to_string(path)).await
}

/// Makes a file of `contents`, which replace those it had, in one job. As [`std::fs::write`].
///
/// `contents` are copied, since the pool cannot borrow them.
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future leaves the file as it was, or written whole, in part or not at all if the
/// process ends meanwhile.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let contents = contents.as_ref().to_vec();
    on_path("write", path.as_ref(), move |path| {
        std::fs::write(path, contents)
    })
    .await
}

/// Copies the contents and the permissions of a file, in one job, and says how many bytes that
/// were. As [`std::fs::copy`], with what the kernel has for it (copy_file_range(2), fclonefileat(2)).
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop a copy that has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-copy-{}", std::process::id()));
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

/// Gives a file another name, whose file it replaces. As [`std::fs::rename`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-rename-{}", std::process::id()));
/// # fs::create_dir_all(&folder).await?;
/// // As a file that is seen whole or not at all is written:
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

/// Makes `link` another name of the file `original`. As [`std::fs::hard_link`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-hard-link-{}", std::process::id()));
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
    on_paths("link", paths, |from, to| std::fs::hard_link(from, to)).await
}

/// Makes `link` a symbolic link with the text `original`. As [`std::os::unix::fs::symlink`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-symlink-{}", std::process::id()));
/// # fs::create_dir_all(&folder).await?;
/// let link = folder.join("link");
/// fs::symlink("elsewhere", &link).await?;
/// assert_eq!(fs::read_link(&link).await?, std::path::Path::new("elsewhere"));
/// assert!(fs::symlink_metadata(&link).await?.is_symlink());
/// assert!(!fs::try_exists(&link).await?); // there is nothing elsewhere
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let paths = (original.as_ref(), link.as_ref());
    let symlink = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to);
    on_paths("link symbolically", paths, symlink).await
}

/// The text of a symbolic link. As [`std::fs::read_link`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    on_path("read the link", path.as_ref(), |path| {
        std::fs::read_link(path)
    })
    .await
}

/// What there is to know of a file, or of what a symbolic link leads to. As [`std::fs::metadata`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-metadata-{}", std::process::id()));
/// # fs::create_dir_all(&folder).await?;
/// let path = folder.join("file");
/// fs::write(&path, "hello").await?;
/// assert_eq!(fs::metadata(&path).await?.len(), 5);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    on_path("look at", path.as_ref(), |path| std::fs::metadata(path)).await
}

/// What there is to know of a file or of a symbolic link itself. As [`std::fs::symlink_metadata`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    on_path("look at", path.as_ref(), |path| {
        std::fs::symlink_metadata(path)
    })
    .await
}

/// Changes the permissions of a file. As [`std::fs::set_permissions`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-permissions-{}", std::process::id()));
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

/// Whether there is a file of that name. As [`std::fs::exists`].
///
/// # Errors
/// If that cannot be found out, which is not the same as `false`; and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    on_path("look for", path.as_ref(), |path| std::fs::exists(path)).await
}

/// The absolute path without symbolic links. As [`std::fs::canonicalize`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future changes nothing on the disk.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-canonicalize-{}", std::process::id()));
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

/// Makes an empty directory. As [`std::fs::create_dir`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("create directory", path.as_ref(), |path| {
        std::fs::create_dir(path)
    })
    .await
}

/// Makes a directory and those it lies in, as far as they are missing. As
/// [`std::fs::create_dir_all`].
///
/// # Errors
/// As there, and as the [module](self) says. Those it made before it failed stay.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
///
/// # Examples
/// ```
/// use runtime::fs;
///
/// # runtime::block_on(async {
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-create-dir-{}", std::process::id()));
/// # fs::create_dir_all(&folder).await?;
/// let deep = folder.join("a/b/c");
/// fs::create_dir_all(&deep).await?;
/// fs::create_dir_all(&deep).await?; // it is no error if it is there
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

/// Removes a name of a file. As [`std::fs::remove_file`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("remove", path.as_ref(), |path| std::fs::remove_file(path)).await
}

/// Removes an empty directory. As [`std::fs::remove_dir`].
///
/// # Errors
/// As there, and as the [module](self) says.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("remove directory", path.as_ref(), |path| {
        std::fs::remove_dir(path)
    })
    .await
}

/// Removes a directory and all that is in it, in one job. As [`std::fs::remove_dir_all`].
///
/// # Errors
/// As there, and as the [module](self) says. What it removed before it failed is gone.
///
/// # Cancel safety
/// Dropping the future does not stop it once it has begun.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    on_path("remove directory", path.as_ref(), |path| {
        std::fs::remove_dir_all(path)
    })
    .await
}
