//! Descriptors that are not sockets: files, devices, terminals, pipes.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::*;

pub(super) fn a_regular_file_and_a_directory_are_refused(stage: &mut Stage) {
    // A file and a directory that exist on every system.
    for path in [env::current_exe().unwrap(), "/".into()] {
        let file = File::open(&path).unwrap();
        assert_eq!(stage.refusal(&file, ONE), libc::EPERM, "{path:?}");
        stage.selector.forget(ONE);
        assert_eq!(stage.now(ONE), NOTHING);
    }
}

pub(super) fn dev_null_is_ready_or_refused_but_never_silent(stage: &mut Stage) {
    let null = File::open("/dev/null").unwrap();
    let errno = stage.refusal(&null, ONE);
    #[cfg(feature = "sim")]
    if stage.selector.backend() == Backend::Sim {
        // It has only sockets and pipes.
        return assert_eq!(errno, libc::ENOTSOCK);
    }
    let known = [0, libc::EPERM, libc::EINVAL, libc::ENODEV];
    assert!(known.contains(&errno), "errno {errno}");
}

pub(super) fn a_terminal_is_readable_after_a_line_was_typed(stage: &mut Stage) {
    // SAFETY: posix_openpt takes an integer.
    let fd = cvt(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) }).unwrap();
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    let mut keyboard = unsafe { File::from_raw_fd(fd) };
    stage.alone(); // ptsname returns a pointer to a static buffer
    // SAFETY: grantpt takes an integer.
    cvt(unsafe { libc::grantpt(fd) }).unwrap();
    // SAFETY: unlockpt takes an integer.
    cvt(unsafe { libc::unlockpt(fd) }).unwrap();
    // SAFETY: ptsname takes an integer. No other thread calls it before the name is copied, since
    // this case runs alone.
    let name = unsafe { libc::ptsname(fd) };
    assert!(!name.is_null());
    // SAFETY: ptsname has returned a string that ends in 0 and lives until its next call.
    let path = unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned();
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags);
    let mut terminal = options.open(path).unwrap();
    assert_eq!(stage.add(&terminal, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    keyboard.write_all(b"a line\n").unwrap();
    stage.wait_until(ONE, Readiness::READABLE);
    assert_eq!(terminal.read(&mut [0; 64]).unwrap(), 7);
}

pub(super) fn the_reader_of_a_pipe_is_readable_when_the_writer_closes(stage: &mut Stage) {
    let (mut reader, mut writer) = pipe();
    assert_eq!(stage.add(&reader, ONE), None);
    // On systems whose pipes carry data both ways it may be writable.
    assert!(!stage.now(ONE).0.is_readable());
    writer.write_all(b"x").unwrap();
    stage.wait_until(ONE, Readiness::READABLE);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
    stage.arm(ONE);
    assert!(!stage.now(ONE).0.is_readable());
    drop(writer);
    let reported = stage.wait_until(ONE, Readiness::READABLE);
    assert!(reported.is_read_closed() || !stage.reports_ends());
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
}

pub(super) fn the_writer_of_a_full_pipe_is_writable_when_the_reader_closes(stage: &mut Stage) {
    let (reader, mut writer) = pipe();
    while writer.write(&[7; 4096]).is_ok() {}
    assert_eq!(stage.add(&writer, ONE), None);
    assert_eq!(stage.now(ONE), NOTHING);
    drop(reader);
    stage.wait_until(ONE, Readiness::WRITABLE);
    assert_eq!(
        writer.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

pub(super) fn the_writer_of_a_pipe_is_writable_if_the_reader_closed_before(stage: &mut Stage) {
    let (reader, mut writer) = pipe();
    drop(reader);
    assert_eq!(stage.add(&writer, ONE), None);
    stage.wait_until(ONE, Readiness::WRITABLE);
    assert_eq!(
        writer.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

pub(super) fn the_reader_of_a_fifo_is_readable_whenever_a_writer_writes_or_closes(
    stage: &mut Stage,
) {
    let folder = Folder::new();
    let path = fifo(&folder);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut reader = options.open(&path).unwrap();
    assert_eq!(stage.add(&reader, ONE), None);
    for _ in 0..3 {
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"x").unwrap();
        stage.wait_until(ONE, Readiness::READABLE);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
        stage.selector.arm(ONE, Direction::Read);
        drop(writer);
        stage.wait_until(ONE, Readiness::READABLE);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        stage.selector.arm(ONE, Direction::Read);
    }
}

pub(super) fn the_writer_of_a_full_fifo_is_writable_when_the_reader_closes(stage: &mut Stage) {
    let folder = Folder::new();
    let path = fifo(&folder);
    let mut options = OpenOptions::new();
    options.custom_flags(libc::O_NONBLOCK);
    let reader = options.read(true).open(&path).unwrap();
    let mut writer = options.read(false).write(true).open(&path).unwrap();
    while writer.write(&[7; 4096]).is_ok() {}
    assert_eq!(stage.add(&writer, ONE), None);
    // On systems whose FIFOs have both filters it may be readable.
    assert!(!stage.now(ONE).0.is_writable());
    drop(reader);
    stage.wait_until(ONE, Readiness::WRITABLE);
    assert_eq!(
        writer.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

/// Makes a named FIFO and returns its path.
fn fifo(folder: &Folder) -> PathBuf {
    let path = folder.0.join("fifo");
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: `name` is a string that ends in 0 and outlives the call.
    cvt(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }).unwrap();
    path
}
