//! openat2(2) with RESOLVE_CACHED, and preadv2(2) with RWF_NOWAIT.
//!
//! The calls are made by their numbers, because not every C library has functions for them, and
//! glibc's own `preadv2` may fall back to one that blocks.

use std::ffi::{CStr, CString};
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Access, Attempt, ToRead};

/// An offset that no file reaches.
const BEYOND_ALL_FILES: u64 = 1 << 62;

/// Opens an existing regular file if path and file are in memory and opening it does not wait.
///
/// Returns `None` in all other cases, also for a file that does not exist: open it in a way that
/// may block then.
pub(crate) fn open(path: &Path, access: Access) -> Option<File> {
    let (path, _) = look_up_file(path)?;
    let flags = match access {
        Access {
            append: true,
            read: false,
            ..
        } => libc::O_WRONLY | libc::O_APPEND,
        Access {
            append: true,
            read: true,
            ..
        } => libc::O_RDWR | libc::O_APPEND,
        Access {
            write: true,
            read: false,
            ..
        } => libc::O_WRONLY,
        Access {
            write: true,
            read: true,
            ..
        } => libc::O_RDWR,
        Access {
            write: false,
            read: true,
            ..
        } => libc::O_RDONLY,
        Access {
            write: false,
            read: false,
            ..
        } => return None,
    };
    let file = open_nonblocking(&path, flags, 0)?;
    // O_NONBLOCK does nothing to a regular file, but duplicates of the descriptor show it.
    set_status_flags(&file, flags & libc::O_APPEND).then_some(file)
}

/// Opens a file as [`open`] does, only to read it whole.
pub(crate) fn open_for_reading(path: &Path) -> Option<ToRead> {
    let folder = Folder::of(path);
    let direct = libc::RESOLVE_NO_SYMLINKS;
    if folder.as_ref().is_some_and(Folder::is_local) {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        if let Some(file) = open_nonblocking(&path, libc::O_RDONLY, direct) {
            let status = status(&file)?;
            return Some(match status.file_type() {
                libc::S_IFREG => ToRead::Regular(file, status.size),
                _ => ToRead::Other(file),
            });
        }
    }
    let (path, status) = look_up_file(path)?;
    let file = match open_nonblocking(&path, libc::O_RDONLY, direct) {
        Some(file) => {
            folder.as_ref().into_iter().for_each(Folder::set_local);
            file
        }
        None => open_nonblocking(&path, libc::O_RDONLY, 0)?,
    };
    Some(ToRead::Regular(file, status.size))
}

/// A directory by its absolute path, of which a hash is kept.
///
/// A file that was read, and whose path has no symbolic links, shows that its directory is on a
/// file system whose files can be opened without waiting. The next one there need not be looked up
/// before it is opened. A directory that is mounted over later is not noticed; opening a file in it
/// may then wait.
struct Folder(u64);

impl Folder {
    fn of(path: &Path) -> Option<Folder> {
        let folder = path.parent().filter(|folder| folder.is_absolute())?;
        let mut hasher = DefaultHasher::new();
        folder.as_os_str().as_bytes().hash(&mut hasher);
        Some(Folder(hasher.finish() | 1))
    }

    /// Returns the place of the hash. Directories with the same place replace each other.
    fn place(&self) -> &'static AtomicU64 {
        const PLACES: usize = 64;
        static LOCAL: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
        &LOCAL[(self.0 >> 32) as usize % PLACES]
    }

    fn is_local(&self) -> bool {
        self.place().load(Ordering::Relaxed) == self.0
    }

    fn set_local(&self) {
        self.place().store(self.0, Ordering::Relaxed);
    }
}

/// Waits until the peer of a named pipe has opened it, as opening it without O_NONBLOCK does, and
/// has written or closed it. Lets the file block from then on. Blocks.
pub(crate) fn wait_for_writer(file: &File) {
    if status(file).is_some_and(|status| status.file_type() == libc::S_IFIFO) {
        let mut poll_fd = libc::pollfd {
            fd: file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: poll reads and writes one pollfd, which outlives the call. An interrupted call is
        // repeated by the next line, an error is found again by the read.
        while unsafe { libc::poll(&mut poll_fd, 1, -1) } == -1
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    set_blocking(file);
}

/// Returns the metadata of a file of any type, if they are in memory.
pub(crate) fn metadata(path: &Path, follow: bool) -> Option<Metadata> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let (handle, _) = look_up(&path, follow)?;
    File::from(handle).metadata().ok()
}

/// Opens the path, as a handle that neither reads nor writes, if that does not wait and the file is
/// on a device whose files can be opened without waiting. Returns it with its status.
fn look_up(path: &CString, follow: bool) -> Option<(OwnedFd, Status)> {
    if !is_known() {
        return None;
    }
    let nofollow = if follow { 0 } else { libc::O_NOFOLLOW };
    let handle = openat2(path, libc::O_PATH | nofollow, 0)?;
    let status = status(&handle)?;
    is_local(&status).then_some((handle, status))
}

/// Looks up a path that must be one of a regular file.
///
/// The type is checked before the file is opened: opening a named pipe releases its writers, and
/// opening a device may do anything.
fn look_up_file(path: &Path) -> Option<(CString, Status)> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let (_handle, status) = look_up(&path, true)?;
    (status.file_type() == libc::S_IFREG).then_some((path, status))
}

/// Opens a file with O_NONBLOCK, which does not wait for the holder of a lease, nor for the writer
/// of a named pipe that has replaced the file since it was looked up.
fn open_nonblocking(path: &CString, flags: libc::c_int, resolve: u64) -> Option<File> {
    let flags = flags | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_LARGEFILE;
    openat2(path, flags, resolve).map(File::from)
}

/// Returns true if the kernel knows openat2(2) with RESOLVE_CACHED (Linux 5.12), and no sandbox
/// rejects it.
fn is_known() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| openat2(c"/", libc::O_PATH, 0).is_some())
}

fn openat2(path: &CStr, flags: libc::c_int, resolve: u64) -> Option<OwnedFd> {
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let how = How {
        flags: (flags | libc::O_CLOEXEC) as u64,
        mode: 0,
        resolve: libc::RESOLVE_CACHED | resolve,
    };
    // SAFETY: the kernel reads a string that ends with a NUL and the struct of openat2(2), of the
    // size given; both outlive the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw const how,
            size_of::<How>(),
        )
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: the call has returned a new descriptor, which nothing else owns.
    Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Lets a file that was opened by [`open_for_reading`] block.
pub(crate) fn set_blocking(file: &File) {
    set_status_flags(file, 0);
}

fn set_status_flags(file: &File, flags: libc::c_int) -> bool {
    // SAFETY: F_SETFL takes an int, and the descriptor is open.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) };
    result == 0
}

/// The struct of statx(2).
#[repr(C)]
#[derive(Default)]
struct Status {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    padding: u16,
    ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    times: [u64; 8],
    special_major: u32,
    special_minor: u32,
    device_major: u32,
    device_minor: u32,
    reserved: [u64; 14],
}

impl Status {
    fn file_type(&self) -> libc::mode_t {
        libc::mode_t::from(self.mode) & libc::S_IFMT
    }
}

/// Returns the status of a file as the kernel has it in memory. Does not ask the server of a
/// network file system.
fn status(fd: &impl AsRawFd) -> Option<Status> {
    const BASIC_STATS: libc::c_uint = 0x7ff;
    const { assert!(size_of::<Status>() == 256) };
    let mut status = Status::default();
    // SAFETY: the kernel reads an empty string and writes at most the 256 bytes of the struct, in
    // which any bytes are valid; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            BASIC_STATS,
            &raw mut status,
        )
    };
    (result == 0).then_some(status)
}

/// Returns true if opening a file sends no request to a server. The kernel's answer is about the
/// path only: network file systems and FUSE then send a request to open the file.
///
/// Those have no block device and therefore an anonymous number, whose major part is 0. Others with
/// such a number (btrfs) are known once [`is_readable`] has returned true for one of their files.
fn is_local(status: &Status) -> bool {
    status.device_major != 0 || anonymous_devices().contains(&status.device_minor)
}

/// Returns the minor numbers of anonymous devices whose files can be read without waiting.
fn anonymous_devices() -> MutexGuard<'static, Vec<u32>> {
    static MINORS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    MINORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns true if the kernel knows whether reads of `file` would block.
pub(crate) fn is_readable(file: &File) -> bool {
    // Behind the end nothing is read, and only support is checked.
    let is_readable = read(file, &mut [0], Some(BEYOND_ALL_FILES)) == Attempt::Read(0);
    if let (true, Some(status)) = (is_readable, status(file)) {
        let mut anonymous = anonymous_devices();
        if status.device_major == 0 && !anonymous.contains(&status.device_minor) {
            anonymous.push(status.device_minor);
        }
    }
    is_readable
}

/// Returns true if the first and the last byte of a part of `file` are in memory. The kernel reads
/// neighboring pages together.
pub(crate) fn can_send(file: BorrowedFd<'_>, range: Range<u64>) -> bool {
    let has = |offset| matches!(read(&file, &mut [0], Some(offset)), Attempt::Read(_));
    has(range.start) && has(range.end.saturating_sub(1))
}

/// Reads as much of `buf` as is in memory, from `offset` or from the position of the file, which
/// then advances.
pub(crate) fn read(file: &impl AsRawFd, buf: &mut [u8], offset: Option<u64>) -> Attempt {
    let iov = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: the buffer is exclusively borrowed, as long as `iov` says.
    unsafe { preadv2(file, &raw const iov, 1, offset) }
}

/// Reads from the position of the file into several buffers, like [`read`].
pub(crate) fn read_vectored(file: &File, bufs: &mut [IoSliceMut<'_>]) -> Attempt {
    // SAFETY: `IoSliceMut` has the layout of iovec, and the buffers are exclusively borrowed.
    unsafe { preadv2(file, bufs.as_ptr().cast(), bufs.len(), None) }
}

/// Appends to `bytes` what is in memory at the position of the file, at most `max` bytes, without
/// growing `bytes`. The position advances.
pub(crate) fn read_to_end_of(bytes: &mut Vec<u8>, file: &File, max: usize) -> Attempt {
    let spare = bytes.spare_capacity_mut();
    let iov = libc::iovec {
        iov_base: spare.as_mut_ptr().cast(),
        iov_len: spare.len().min(max),
    };
    // SAFETY: the spare capacity is exclusively borrowed, and no shorter than `iov` says.
    let attempt = unsafe { preadv2(file, &raw const iov, 1, None) };
    if let Attempt::Read(n) = attempt {
        // SAFETY: the kernel has written `n` bytes to the spare capacity, which begins at the end.
        unsafe { bytes.set_len(bytes.len() + n) };
    }
    attempt
}

/// Makes the system call.
///
/// # Safety
/// `iov` points to `count` buffers that may be written.
unsafe fn preadv2(
    file: &impl AsRawFd,
    iov: *const libc::iovec,
    count: usize,
    offset: Option<u64>,
) -> Attempt {
    // All ones are the position of the file.
    let offset = offset.unwrap_or(u64::MAX);
    loop {
        // SAFETY: the kernel writes to the buffers only, which the caller vouches for. On a system
        // of 64 bits it ignores the upper half of the offset, and the lower one is all of it.
        let n = unsafe {
            libc::syscall(
                libc::SYS_preadv2,
                file.as_raw_fd(),
                iov,
                count,
                offset as libc::c_long,
                (offset >> 32) as libc::c_long,
                libc::RWF_NOWAIT,
            )
        };
        if n >= 0 {
            return Attempt::Read(n as usize);
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM) => return Attempt::Unsupported,
            _ => return Attempt::Blocked,
        }
    }
}
