//! The kind, the number and the words of errors.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime::fs::{self, File, OpenOptions};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, Interest, SeekFrom, os_error};
use runtime::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSocket,
    UnixStream, lookup_host, pipe, unix,
};
use runtime::process::{Command, Stdio};
use runtime::signal::unix::{SignalKind, signal};

/// A temporary directory that is removed on drop.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("runtime-errors-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The beginning of an error's text, its number and the result that has it.
type Case = (String, i32, Result<()>);

fn assert_worded(cases: Vec<Case>) {
    for (text, errno, result) in cases {
        let error = result.map_err(|e| (e.to_string(), e)).expect_err(&text);
        let (words, error) = error;
        assert!(words.starts_with(&text), "{words:?} begins with {text:?}");
        assert_eq!(os_error(&error), Some(errno), "{words}");
        let kind = Error::from_raw_os_error(errno).kind();
        assert_eq!(error.kind(), kind, "{words}");
        let os_text = Error::from_raw_os_error(errno).to_string();
        assert!(words.ends_with(&os_text), "{words:?} ends with {os_text:?}");
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[runtime::test]
async fn errors_of_sockets_that_are_made_name_the_address_and_have_their_number() {
    let holder = TcpListener::bind(local(0)).await.unwrap();
    let used = holder.local_addr().unwrap();
    let udp = UdpSocket::bind(local(0)).await.unwrap();
    let udp_used = udp.local_addr().unwrap();
    // The port of a connection, which no other socket gets and on which none listens. Some systems
    // drop what is sent to a port that is only bound.
    let closed = TcpStream::connect(used).await.unwrap();
    let refused = closed.local_addr().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    let second = TcpSocket::new_v4().unwrap();
    for one in [&socket, &second] {
        one.set_reuseaddr(true).unwrap();
    }
    socket.bind(local(0)).unwrap();
    let bound = socket.local_addr().unwrap();
    // Linux lets both bind, and finds out when the second listens.
    let second_bound = second.bind(bound);
    let listener = socket.listen(8).unwrap();
    let second_error = match second_bound {
        Ok(()) => (
            format!("listen on {bound}: "),
            libc::EADDRINUSE,
            second.listen(8).map(drop),
        ),
        failed => (format!("bind {bound}: "), libc::EADDRINUSE, failed),
    };
    let both = [closed.local_addr().unwrap(), refused];
    assert_worded(vec![
        second_error,
        (
            format!("bind {used}: "),
            libc::EADDRINUSE,
            TcpListener::bind_shared(used).await.map(drop),
        ),
        (
            format!("connect to {refused}: "),
            libc::ECONNREFUSED,
            TcpStream::connect(&both[..]).await.map(drop),
        ),
        (
            format!("connect to {refused}: "),
            libc::ECONNREFUSED,
            TcpStream::connect_timeout(refused, Duration::from_secs(600))
                .await
                .map(drop),
        ),
        (
            format!("bind {used}: "),
            libc::EADDRINUSE,
            TcpListener::bind(used).await.map(drop),
        ),
        (
            format!("bind {used}: "),
            libc::EADDRINUSE,
            TcpSocket::new_v4().unwrap().bind(used),
        ),
        (
            format!("connect to {refused}: "),
            libc::ECONNREFUSED,
            TcpStream::connect(refused).await.map(drop),
        ),
        (
            format!("connect to {refused}: "),
            libc::ECONNREFUSED,
            TcpSocket::new_v4()
                .unwrap()
                .connect(refused)
                .await
                .map(drop),
        ),
        (
            format!("bind {udp_used}: "),
            libc::EADDRINUSE,
            UdpSocket::bind(udp_used).await.map(drop),
        ),
    ]);
    // Elsewhere only sending to it fails.
    if cfg!(any(target_os = "linux", target_os = "android")) {
        assert_worded(vec![(
            "connect to 255.255.255.255:9: ".to_owned(),
            libc::EACCES,
            udp.connect((Ipv4Addr::BROADCAST, 9)).await,
        )]);
    }
    drop((holder, closed, listener));
}

#[runtime::test]
async fn errors_of_unix_sockets_and_pipes_name_the_path_and_have_their_number() {
    let dir = TempDir::new();
    let [used, datagram, missing, fifo] =
        ["used", "datagram", "missing", "fifo"].map(|name| dir.0.join(name));
    let _listener = UnixListener::bind(&used).unwrap();
    let _datagram = UnixDatagram::bind(&datagram).unwrap();
    let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let with = |what: &str, path: &Path| format!("{what} {}: ", path.display());
    let addr = |path: &Path| unix::SocketAddr::from_pathname(path).unwrap();
    let (used_addr, missing_addr) = (addr(&used), addr(&missing));
    let new_stream = || UnixSocket::new_stream().unwrap();
    assert_worded(vec![
        (
            with("bind", &used),
            libc::EADDRINUSE,
            UnixListener::bind(&used).map(drop),
        ),
        (
            with("bind", &datagram),
            libc::EADDRINUSE,
            UnixDatagram::bind(&datagram).map(drop),
        ),
        (
            with("bind", &used),
            libc::EADDRINUSE,
            UnixListener::bind_addr(&used_addr).map(drop),
        ),
        (
            with("bind", &used),
            libc::EADDRINUSE,
            UnixDatagram::bind_addr(&used_addr).map(drop),
        ),
        (
            with("bind", &used),
            libc::EADDRINUSE,
            UnixSocket::new_stream().unwrap().bind(&used),
        ),
        (
            with("bind", &used),
            libc::EADDRINUSE,
            UnixSocket::new_datagram().unwrap().bind_addr(&used_addr),
        ),
        (
            with("connect to", &missing),
            libc::ENOENT,
            UnixStream::connect_addr(&missing_addr).await.map(drop),
        ),
        (
            with("connect to", &missing),
            libc::ENOENT,
            UnixDatagram::unbound().unwrap().connect_addr(&missing_addr),
        ),
        (
            with("connect to", &missing),
            libc::ENOENT,
            new_stream().connect(&missing).await.map(drop),
        ),
        (
            with("connect to", &missing),
            libc::ENOENT,
            new_stream().connect_addr(&missing_addr).await.map(drop),
        ),
        (
            with("connect to", &missing),
            libc::ENOENT,
            UnixStream::connect(&missing).await.map(drop),
        ),
        (
            with("connect to", &missing),
            libc::ENOENT,
            UnixDatagram::unbound().unwrap().connect(&missing),
        ),
        (
            with("open", &missing),
            libc::ENOENT,
            pipe::OpenOptions::new().open_receiver(&missing).map(drop),
        ),
        (
            with("open", &fifo),
            libc::ENXIO,
            pipe::OpenOptions::new().open_sender(&fifo).map(drop),
        ),
    ]);
    // Linux gives a socket that listens without an address none; elsewhere it may listen.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use std::os::linux::net::SocketAddrExt;

        let name = format!("runtime-errors-{}", std::process::id());
        let addr = unix::SocketAddr::from_abstract_name(&name).unwrap();
        let missing = unix::SocketAddr::from_abstract_name(format!("{name}-missing")).unwrap();
        let _listener = UnixListener::bind_addr(&addr).unwrap();
        assert_worded(vec![
            (
                "listen: ".to_owned(),
                libc::EINVAL,
                new_stream().listen(8).map(drop),
            ),
            (
                format!("bind {addr:?}: "),
                libc::EADDRINUSE,
                UnixListener::bind_addr(&addr).map(drop),
            ),
            (
                format!("connect to {missing:?}: "),
                libc::ECONNREFUSED,
                UnixStream::connect_addr(&missing).await.map(drop),
            ),
        ]);
    }
}

#[runtime::test]
async fn errors_of_programs_name_the_program_and_have_their_number() {
    let missing = "/no/such/program";
    let run = || Command::new(missing);
    assert_worded(vec![
        (
            format!("run {missing}: "),
            libc::ENOENT,
            run().spawn().map(drop),
        ),
        (
            format!("run {missing}: "),
            libc::ENOENT,
            run().status().await.map(drop),
        ),
        (
            format!("run {missing}: "),
            libc::ENOENT,
            run().output().await.map(drop),
        ),
    ]);
}

/// Returns a child whose exit status other code has taken.
fn reaped_elsewhere() -> runtime::process::Child {
    let child = Command::new("true").spawn().unwrap();
    let id = child.id() as libc::pid_t;
    // SAFETY: waitpid accepts a null pointer instead of room for the status.
    assert_eq!(unsafe { libc::waitpid(id, std::ptr::null_mut(), 0) }, id);
    child
}

#[runtime::test]
async fn errors_of_processes_and_signals_name_them_and_have_their_number() {
    let mut child = reaped_elsewhere();
    let id = child.id();
    let mut cases = vec![
        (
            format!("wait for process {id}: "),
            libc::ECHILD,
            child.try_wait().map(drop),
        ),
        (
            format!("wait for process {id}: "),
            libc::ECHILD,
            child.wait().await.map(drop),
        ),
        (
            format!("kill process {id}: "),
            libc::ECHILD,
            child.start_kill(),
        ),
        (
            format!("kill process {id}: "),
            libc::ECHILD,
            child.kill().await,
        ),
        (
            format!("wait for process {id}: "),
            libc::ECHILD,
            child.wait_with_output().await.map(drop),
        ),
    ];
    for number in [0, -1, 12_345] {
        cases.push((
            format!("listen to signal {number}: "),
            libc::EINVAL,
            signal(SignalKind::from_raw(number)).map(drop),
        ));
    }
    assert_worded(cases);
}

/// Set for the child process in which no descriptor is available.
const WITHOUT_DESCRIPTORS: &str = "RUNTIME_TEST_WITHOUT_DESCRIPTORS";

#[test]
fn without_a_descriptor_every_function_that_needs_one_returns_emfile() {
    if std::env::var_os(WITHOUT_DESCRIPTORS).is_some() {
        return runtime::block_on(without_descriptors());
    }
    let test = "without_a_descriptor_every_function_that_needs_one_returns_emfile";
    let script = format!(r#"ulimit -n 64 && exec "$0" --exact --nocapture {test}"#);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap());
    let output = command.env(WITHOUT_DESCRIPTORS, "1").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains(REACHED), "{stderr}");
}

const REACHED: &str = "reached the end";

async fn without_descriptors() {
    let dir = TempDir::new();
    let path = dir.0.join("new");
    let mut command = Command::new("sleep");
    let mut child = command.arg("600").kill_on_drop(true).spawn().unwrap();
    let wait = format!("wait for process {}: ", child.id());
    // The pool has its thread before.
    fs::metadata("/").await.unwrap();
    let none_left = {
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        held
    };
    let addr = unix::SocketAddr::from_pathname(&path).unwrap();
    let named = |what: &str| format!("{what} {}: ", path.display());
    let mut cases = vec![
        (
            "bind 127.0.0.1:0: ".to_owned(),
            TcpListener::bind(local(0)).await.map(drop),
        ),
        (
            "bind 127.0.0.1:0: ".to_owned(),
            UdpSocket::bind(local(0)).await.map(drop),
        ),
        (
            "connect to 127.0.0.1:9: ".to_owned(),
            TcpStream::connect(local(9)).await.map(drop),
        ),
        (named("bind"), UnixListener::bind(&path).map(drop)),
        (named("bind"), UnixListener::bind_addr(&addr).map(drop)),
        (named("bind"), UnixDatagram::bind(&path).map(drop)),
        (named("bind"), UnixDatagram::bind_addr(&addr).map(drop)),
        (
            named("connect to"),
            UnixStream::connect(&path).await.map(drop),
        ),
        (
            named("connect to"),
            UnixStream::connect_addr(&addr).await.map(drop),
        ),
        (
            named("open"),
            pipe::OpenOptions::new().open_receiver(&path).map(drop),
        ),
        (named("open"), File::create(&path).await.map(drop)),
        (
            "run true: ".to_owned(),
            Command::new("true").stdin(Stdio::piped()).spawn().map(drop),
        ),
        (
            "listen to SIGUSR1: ".to_owned(),
            signal(SignalKind::user_defined1()).map(drop),
        ),
        (
            "wait for Ctrl-C: ".to_owned(),
            runtime::signal::ctrl_c().await,
        ),
    ];
    for &backend in runtime::Backend::available() {
        cases.push((
            format!("opening the reactor on {backend}: "),
            runtime::Runtime::builder()
                .backend(backend)
                .build()
                .map(drop),
        ));
    }
    // kqueue reports an exit without a descriptor.
    if cfg!(any(target_os = "linux", target_os = "android")) {
        cases.push((wait, child.wait().await.map(drop)));
    }
    let plain: [(_, Result<()>); 6] = [
        ("socket", TcpSocket::new_v4().map(drop)),
        ("Unix socket", UnixSocket::new_stream().map(drop)),
        ("datagram socket", UnixDatagram::unbound().map(drop)),
        ("Unix pair", UnixStream::pair().map(drop)),
        ("datagram pair", UnixDatagram::pair().map(drop)),
        ("pipe", pipe::pipe().map(drop)),
    ];
    drop(none_left);
    child.kill().await.unwrap();
    let worded = cases.into_iter();
    let worded = worded.map(|(text, result)| (text, libc::EMFILE, result));
    assert_worded(worded.collect());
    for (what, result) in plain {
        let error = result.expect_err(what);
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{what}: {error}");
    }
    eprintln!("{REACHED}");
}

#[runtime::test]
async fn a_name_that_is_not_found_is_in_the_error_and_has_no_number() {
    // Too long for any resolver, so that none is asked.
    let name = format!("{}:80", "x".repeat(300));
    let errors = [
        lookup_host(&name).await.map(drop),
        TcpListener::bind(&name).await.map(drop),
        TcpStream::connect(&name).await.map(drop),
        TcpStream::connect_timeout(&name, Duration::from_secs(600))
            .await
            .map(drop),
        UdpSocket::bind(&name).await.map(drop),
    ];
    for result in errors {
        let error = result.unwrap_err();
        let text = format!("look up {name}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
        assert_eq!(os_error(&error), None, "{error}");
    }
    let error = lookup_host(("a\0b", 80)).await.unwrap_err();
    assert!(
        error.to_string().starts_with("look up a\0b:80: "),
        "{error}"
    );
    assert_eq!(
        (error.kind(), os_error(&error)),
        (ErrorKind::InvalidInput, None)
    );
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Boxes a future, and drops its output.
fn case<'a, T: 'a>(future: impl Future<Output = Result<T>> + 'a) -> Pending<'a> {
    Box::pin(async { future.await.map(drop) })
}

#[runtime::test]
async fn errors_of_files_name_the_path_and_have_their_number() {
    let dir = TempDir::new();
    let file = dir.0.join("file");
    std::fs::write(&file, "contents").unwrap();
    let (gone, below) = (&dir.0.join("gone"), &dir.0.join("gone/x"));
    let permissions = std::fs::metadata(&file).unwrap().permissions();
    let other = dir.0.join("other");
    let below_file = &file.join("x");
    let builder = fs::DirBuilder::new();
    let both = |what: &str| format!("{what} {} to {}", gone.display(), other.display());
    let mut write_only = OpenOptions::new();
    write_only.write(true);
    let cases: Vec<(String, i32, &Path, Pending<'_>)> = vec![
        ("open".into(), libc::ENOENT, gone, case(File::open(gone))),
        (
            "open".into(),
            libc::ENOENT,
            below,
            case(File::create(below)),
        ),
        (
            "open".into(),
            libc::EEXIST,
            &file,
            case(File::create_new(&file)),
        ),
        (
            "open".into(),
            libc::EISDIR,
            &dir.0,
            case(write_only.open(&dir.0)),
        ),
        ("read".into(), libc::ENOENT, gone, case(fs::read(gone))),
        ("read".into(), libc::EISDIR, &dir.0, case(fs::read(&dir.0))),
        (
            "read".into(),
            libc::ENOENT,
            gone,
            case(fs::read_to_string(gone)),
        ),
        (
            "write".into(),
            libc::ENOENT,
            below,
            case(fs::write(below, "")),
        ),
        (
            "write".into(),
            libc::EISDIR,
            &dir.0,
            case(fs::write(&dir.0, "")),
        ),
        (
            both("copy"),
            libc::ENOENT,
            Path::new(""),
            case(fs::copy(gone, &other)),
        ),
        (
            both("rename"),
            libc::ENOENT,
            Path::new(""),
            case(fs::rename(gone, &other)),
        ),
        (
            both("hard link"),
            libc::ENOENT,
            Path::new(""),
            case(fs::hard_link(gone, &other)),
        ),
        (
            "read the symbolic link".into(),
            libc::EINVAL,
            &file,
            case(fs::read_link(&file)),
        ),
        (
            "read the metadata of".into(),
            libc::ENOENT,
            gone,
            case(fs::metadata(gone)),
        ),
        (
            "read the metadata of".into(),
            libc::ENOENT,
            gone,
            case(fs::symlink_metadata(gone)),
        ),
        (
            "set the permissions of".into(),
            libc::ENOENT,
            gone,
            case(fs::set_permissions(gone, permissions)),
        ),
        (
            "canonicalize".into(),
            libc::ENOENT,
            gone,
            case(fs::canonicalize(gone)),
        ),
        (
            "create directory".into(),
            libc::EEXIST,
            &dir.0,
            case(fs::create_dir(&dir.0)),
        ),
        (
            "remove".into(),
            libc::ENOENT,
            gone,
            case(fs::remove_file(gone)),
        ),
        (
            "remove directory".into(),
            libc::ENOTEMPTY,
            &dir.0,
            case(fs::remove_dir(&dir.0)),
        ),
        (
            "remove directory".into(),
            libc::ENOENT,
            gone,
            case(fs::remove_dir_all(gone)),
        ),
        (
            "read directory".into(),
            libc::ENOTDIR,
            &file,
            case(fs::read_dir(&file)),
        ),
        (
            format!("symlink {} to {}", gone.display(), file.display()),
            libc::EEXIST,
            Path::new(""),
            case(fs::symlink(gone, &file)),
        ),
        (
            "create directory".into(),
            libc::EEXIST,
            &file,
            case(fs::create_dir_all(&file)),
        ),
        (
            "create directory".into(),
            libc::EEXIST,
            &dir.0,
            case(builder.create(&dir.0)),
        ),
        (
            "check the existence of".into(),
            libc::ENOTDIR,
            below_file,
            case(fs::try_exists(below_file)),
        ),
    ];
    let mut worded = Vec::new();
    for (what, errno, path, future) in cases {
        let text = format!("{what} {}", path.display());
        worded.push((text.trim_end().to_owned(), errno, future.await));
    }
    let what = |what: &str| format!("{what} {}: ", file.display());
    let mut read_only = File::open(&file).await.unwrap();
    let written = async {
        read_only.write_all(b"x").await?;
        read_only.flush().await
    };
    worded.push((what("write"), libc::EBADF, written.await));
    worded.push((
        what("set the length of"),
        libc::EINVAL,
        read_only.set_len(1).await,
    ));
    let sought = read_only.seek(SeekFrom::Current(-1)).await;
    worded.push((what("seek in"), libc::EINVAL, sought.map(drop)));
    let mut write_only = write_only.open(&file).await.unwrap();
    let read = write_only.read(&mut [0]).await;
    worded.push((what("read"), libc::EBADF, read.map(drop)));
    let read = write_only.read_at(&mut [0], 0).await;
    worded.push((what("read"), libc::EBADF, read.map(drop)));
    let written = read_only.write_at(b"x", 0).await;
    worded.push((what("write"), libc::EBADF, written.map(drop)));
    // A pipe has no position.
    let fifo = dir.0.join("fifo");
    let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let both = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo);
    std::io::Write::write_all(&mut both.as_ref().unwrap(), b"xy").unwrap();
    let mut pipe = File::open(&fifo).await.unwrap();
    let of_pipe = |what: &str| format!("{what} {}: ", fifo.display());
    let read = pipe.read_at(&mut [0], 0).await;
    worded.push((of_pipe("read"), libc::ESPIPE, read.map(drop)));
    let sought = pipe.seek(SeekFrom::Start(0)).await;
    worded.push((of_pipe("seek in"), libc::ESPIPE, sought.map(drop)));
    worded.push((of_pipe("sync"), libc::EINVAL, pipe.sync_all().await));
    worded.push((of_pipe("sync"), libc::EINVAL, pipe.sync_data().await));
    pipe.read_exact(&mut [0]).await.unwrap(); // reads ahead
    let unwrapped = pipe.into_std().await;
    worded.push((of_pipe("unwrap"), libc::ESPIPE, unwrapped.map(drop)));
    // An entry that is gone by the time it is asked for.
    let mut entries = fs::read_dir(&dir.0).await.unwrap();
    let mut entry = entries.next_entry().await.unwrap().unwrap();
    while entry.path() != fifo {
        entry = entries.next_entry().await.unwrap().unwrap();
    }
    std::fs::remove_file(&fifo).unwrap();
    let metadata = entry.metadata().await;
    worded.push((
        of_pipe("read the metadata of"),
        libc::ENOENT,
        metadata.map(drop),
    ));
    assert_worded(worded);
}

#[runtime::test]
async fn a_descriptor_that_cannot_be_waited_for_is_in_the_error_and_has_its_number() {
    let dir = TempDir::new();
    let path = dir.0.join("file");
    std::fs::write(&path, "").unwrap();
    let mut options = pipe::OpenOptions::new();
    let file = options.unchecked(true).open_receiver(&path).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    let would_block = |_: &std::fs::File| Err::<(), _>(ErrorKind::WouldBlock.into());
    file.try_io(Interest::READABLE, would_block).unwrap_err();
    let error = file.readable().await.unwrap_err();
    let text = format!("cannot wait for descriptor {fd}: ");
    assert!(error.to_string().starts_with(&text), "{error}");
    assert_eq!(
        (error.kind(), os_error(&error)),
        (ErrorKind::Unsupported, Some(libc::EPERM))
    );
}

/// Libraries compare these numbers: quinn looks for EMSGSIZE, for example.
#[runtime::test]
async fn errors_of_operations_on_open_sockets_are_those_of_the_system() {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connected = || async {
        let stream = TcpStream::connect(addr).await.unwrap();
        (stream, listener.accept().await.unwrap().0)
    };
    // A reset instead of an end.
    let (mut reset, peer) = connected().await;
    peer.set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let (mut ended, _peer) = connected().await;
    ended.close().await.unwrap();
    let udp = UdpSocket::bind(local(0)).await.unwrap();
    let large = vec![0; 100_000];
    let (mut unix, other) = UnixStream::pair().unwrap();
    drop(other);
    let (mut sender, receiver) = pipe::pipe().unwrap();
    drop(receiver);
    let deaf = TcpListener::try_from(OwnedFd::from(TcpSocket::new_v4().unwrap())).unwrap();
    let deaf_unix = OwnedFd::from(UnixSocket::new_stream().unwrap());
    let deaf_unix = UnixListener::try_from(deaf_unix).unwrap();
    let accept = std::future::poll_fn(|cx| deaf.poll_accept(cx)).await;
    let cases = [
        ("accept", libc::EINVAL, deaf.accept().await.map(drop)),
        ("poll_accept", libc::EINVAL, accept.map(drop)),
        ("try_accept", libc::EINVAL, deaf.try_accept().map(drop)),
        (
            "accept of a Unix socket",
            libc::EINVAL,
            deaf_unix.accept().await.map(drop),
        ),
        ("peer address", libc::ENOTCONN, udp.peer_addr().map(drop)),
        (
            "send to broadcast",
            libc::EACCES,
            udp.send_to(b"x", (Ipv4Addr::BROADCAST, 9)).await.map(drop),
        ),
        (
            "read",
            libc::ECONNRESET,
            reset.read(&mut [0]).await.map(drop),
        ),
        ("write", libc::EPIPE, ended.write(b"x").await.map(drop)),
        (
            "send without a peer",
            libc::EDESTADDRREQ,
            udp.send(b"x").await.map(drop),
        ),
        (
            "send of a large datagram",
            libc::EMSGSIZE,
            udp.send_to(&large, local(9)).await.map(drop),
        ),
        (
            "write to a Unix socket",
            libc::EPIPE,
            unix.write(b"x").await.map(drop),
        ),
        (
            "write to a pipe",
            libc::EPIPE,
            sender.write(b"x").await.map(drop),
        ),
        ("set an option", libc::EINVAL, ended.set_ttl(1000)),
    ];
    for (what, errno, result) in cases {
        let error = result.expect_err(what);
        assert_eq!(error.raw_os_error(), Some(errno), "{what}: {error}");
        assert_eq!(os_error(&error), Some(errno));
    }
}

#[test]
fn errors_that_are_not_of_the_system_have_no_number() {
    let outside = futures_lite::future::block_on(fs::read("file")).unwrap_err();
    assert_eq!(
        (outside.kind(), os_error(&outside)),
        (ErrorKind::Other, None)
    );
}
