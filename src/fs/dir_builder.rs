//! Options for creating directories.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::on_path;

/// A set of options for creating a directory, like [`std::fs::DirBuilder`] with its Unix extension
/// `mode`.
///
/// # Examples
/// ```
/// use std::os::unix::fs::PermissionsExt;
/// use runtime::fs::{self, DirBuilder};
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-dir-builder-{}", std::process::id());
/// # let folder = std::env::temp_dir().join(name);
/// let path = folder.join("private");
/// DirBuilder::new().recursive(true).mode(0o700).create(&path).await?;
/// let mode = fs::metadata(&path).await?.permissions().mode();
/// assert_eq!(mode & 0o777, 0o700);
/// # fs::remove_dir_all(&folder).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// Creates options with the defaults of [`create_dir`](super::create_dir).
    pub fn new() -> DirBuilder {
        DirBuilder::default()
    }

    /// Sets whether missing parents are created too, and an existing directory is not an error.
    /// Default false.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.recursive = recursive;
        self
    }

    /// Sets the permissions of created directories, before the umask is applied. Default `0o777`.
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = Some(mode);
        self
    }

    /// Creates the directory, like [`std::fs::DirBuilder::create`].
    ///
    /// # Errors
    /// Returns `AlreadyExists` if the path exists, unless it is a directory and
    /// [`recursive`](DirBuilder::recursive) is set; `NotFound` if a parent does not exist and
    /// `recursive` is not set. See the [module](super) for the others.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the operation once it has begun.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.recursive);
        if let Some(mode) = self.mode {
            builder.mode(mode);
        }
        on_path("create directory", path.as_ref(), move |path| {
            builder.create(path)
        })
        .await
    }
}
