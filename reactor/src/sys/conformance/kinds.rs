//! What is not a socket: files, devices, terminals, pipes.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use super::*;

pub(super) fn a_regular_file_and_a_directory_are_refused(stage: &mut Stage) {
    // A file that is there wherever this runs.
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
    let known = [0, libc::EPERM, libc::EINVAL, libc::ENODEV];
    assert!(known.contains(&errno), "errno {errno}");
}

pub(super) fn a_terminal_is_readable_when_a_line_was_typed(stage: &mut Stage) {
    // SAFETY: posix_openpt takes an integer.
    let fd = cvt(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) }).unwrap();
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let mut keyboard = unsafe { File::from_raw_fd(fd) };
    stage.alone(); // ptsname has one place for its answer
    // SAFETY: grantpt takes an integer.
    cvt(unsafe { libc::grantpt(fd) }).unwrap();
    // SAFETY: unlockpt takes an integer.
    cvt(unsafe { libc::unlockpt(fd) }).unwrap();
    // SAFETY: ptsname takes an integer; nobody else calls it before its answer is copied.
    let name = unsafe { libc::ptsname(fd) };
    assert!(!name.is_null());
    // SAFETY: it has just returned a string that ends in 0.
    let path = unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned();
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags);
    let mut terminal = options.open(path).unwrap();
    assert_eq!(stage.add(&terminal, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    stage.arm(ONE);
    keyboard.write_all(b"a line\n").unwrap();
    stage.until(ONE, Readiness::READABLE);
    assert_eq!(terminal.read(&mut [0; 64]).unwrap(), 7);
}

pub(super) fn the_reader_of_a_pipe_hears_that_its_writer_is_gone(stage: &mut Stage) {
    let (mut reader, mut writer) = pipe();
    assert_eq!(stage.add(&reader, ONE), None);
    // Where pipes go both ways it may be writable.
    assert!(!stage.now(ONE).0.is_readable());
    writer.write_all(b"x").unwrap();
    stage.until(ONE, Readiness::READABLE);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
    stage.arm(ONE);
    assert!(!stage.now(ONE).0.is_readable());
    drop(writer);
    let heard = stage.until(ONE, Readiness::READABLE);
    assert!(heard.is_read_closed() || stage.selector.backend() == Backend::Select);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
}

pub(super) fn the_writer_of_a_pipe_hears_that_its_reader_has_gone(stage: &mut Stage) {
    let (reader, mut writer) = pipe();
    while writer.write(&[7; 4096]).is_ok() {}
    assert_eq!(stage.add(&writer, ONE), None);
    assert_eq!(stage.now(ONE), NOTHING);
    drop(reader);
    stage.until(ONE, Readiness::WRITABLE);
    assert_eq!(
        writer.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

pub(super) fn the_writer_of_a_pipe_hears_that_its_reader_was_gone_before(stage: &mut Stage) {
    let (reader, mut writer) = pipe();
    drop(reader);
    assert_eq!(stage.add(&writer, ONE), None);
    stage.until(ONE, Readiness::WRITABLE);
    assert_eq!(
        writer.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

pub(super) fn the_reader_of_a_fifo_hears_its_writers_come_and_go(stage: &mut Stage) {
    let folder = Folder::new();
    let path = folder.0.join("fifo");
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the path ends in 0 and outlives the call.
    cvt(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut reader = options.open(&path).unwrap();
    assert_eq!(stage.add(&reader, ONE), None);
    for _ in 0..3 {
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(b"x").unwrap();
        stage.until(ONE, Readiness::READABLE);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
        stage.selector.arm(ONE, Direction::Read);
        drop(writer);
        stage.until(ONE, Readiness::READABLE);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        stage.selector.arm(ONE, Direction::Read);
    }
}

/// The ends of a pipe that do not block: reader, writer.
fn pipe() -> (File, File) {
    let mut ends = [-1; 2];
    // SAFETY: pipe writes two descriptors into the array of two that it is given.
    cvt(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
    // SAFETY: the kernel has just given us these descriptors and nobody else knows them.
    let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    for end in [&reader, &writer] {
        crate::sys::set_nonblocking(end.as_fd()).unwrap();
    }
    (reader.into(), writer.into())
}
