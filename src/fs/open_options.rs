//! Options for opening files.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::file::File;
use super::open::Opening;

/// A set of options for opening a file, like [`std::fs::OpenOptions`] with its Unix extensions
/// `mode` and `custom_flags`.
///
/// # Examples
/// ```
/// use runtime::fs::OpenOptions;
/// use runtime::io::AsyncWriteExt;
///
/// # runtime::block_on(async {
/// # let name = format!("runtime-doc-log-{}", std::process::id());
/// # let path = std::env::temp_dir().join(name);
/// let mut log = OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all(b"started\n").await?;
/// log.close().await?; // returns the error of the write, if any
/// # runtime::fs::remove_file(&path).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct OpenOptions(Opening);

impl OpenOptions {
    /// Creates options with everything disabled.
    #[allow(
        clippy::new_without_default,
        reason = "std's has none, because such options open no file"
    )]
    pub fn new() -> OpenOptions {
        OpenOptions(Opening::new())
    }

    /// Sets whether the file is readable. Default false.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.0.read(read);
        self
    }

    /// Sets whether the file is writable. Default false.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.0.write(write);
        self
    }

    /// Sets whether the file is writable, with every write at its end. Default false.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.0.append(append);
        self
    }

    /// Sets whether an existing file is truncated. Default false.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.0.other().truncate(truncate);
        self
    }

    /// Sets whether the file is created if it does not exist. Default false.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.0.other().create(create);
        self
    }

    /// Sets whether the file must be created. Default false.
    ///
    /// [`open`](OpenOptions::open) then returns `AlreadyExists` if the path exists.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.0.other().create_new(create_new);
        self
    }

    /// Sets the permissions of a created file, before the umask is applied. Default `0o666`.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.0.other().mode(mode);
        self
    }

    /// Sets additional flags of open(2). The access mode among them is ignored. Default 0.
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.0.other().custom_flags(flags);
        self
    }

    /// Opens the file, like [`std::fs::OpenOptions::open`].
    ///
    /// # Errors
    /// Returns `NotFound` if the file does not exist and is not created; `AlreadyExists` if it
    /// exists and [`create_new`](OpenOptions::create_new) is set; `PermissionDenied`;
    /// `InvalidInput` for options that contradict each other. See the [module](super) for the
    /// others.
    ///
    /// # Cancel safety
    /// Dropping the future closes the file, which may already have been created or truncated.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        File::open_with(self.0.clone(), path.as_ref()).await
    }
}

impl File {
    /// Creates options for opening a file, like [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> OpenOptions {
        OpenOptions(options.into())
    }
}
