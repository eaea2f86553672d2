//! The kind, the number and the words of errors.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};

use runtime::fs::{self, File, OpenOptions};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom, os_error};
use runtime::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, pipe,
};
use runtime::process::Command;

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
    // Bound, so that no other socket gets the port, and not listening.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(local(0)).unwrap();
    let refused = closed.local_addr().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    let second = TcpSocket::new_v4().unwrap();
    for one in [&socket, &second] {
        one.set_reuseaddr(true).unwrap();
    }
    socket.bind(local(0)).unwrap();
    let bound = socket.local_addr().unwrap();
    second.bind(bound).unwrap();
    let listener = socket.listen(8).unwrap();
    assert_worded(vec![
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
            format!("listen on {bound}: "),
            libc::EADDRINUSE,
            second.listen(8).map(drop),
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
        (
            "connect to 255.255.255.255:9: ".to_owned(),
            libc::EACCES,
            udp.connect((Ipv4Addr::BROADCAST, 9)).await,
        ),
    ]);
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
    assert_worded(worded);
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
    peer.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(peer);
    let (mut ended, _peer) = connected().await;
    ended.close().await.unwrap();
    let udp = UdpSocket::bind(local(0)).await.unwrap();
    let large = vec![0; 100_000];
    let (mut unix, other) = UnixStream::pair().unwrap();
    drop(other);
    let (mut sender, receiver) = pipe::pipe().unwrap();
    drop(receiver);
    let cases = [
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
