use std::fs::{self, File};
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{LIMIT, Server, read_head, request, send};

/// A temporary directory that is removed on drop.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> TempDir {
        let name = format!("runtime-http-server-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Writes a file whose contents differ at every offset.
    fn write(&self, name: &str, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(4) as u32).map(|i| i.wrapping_mul(0x9e37_79b9));
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes.truncate(length);
        fs::write(self.0.join(name), &bytes).unwrap();
        bytes
    }

    /// Creates a sparse file that exceeds all socket buffers but takes no disk space.
    fn write_hole(&self, name: &str) -> u64 {
        const LENGTH: u64 = 64 << 20;
        let file = File::create(self.0.join(name)).unwrap();
        file.set_len(LENGTH).unwrap();
        LENGTH
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_page_reports_a_missing_directory() {
    let server = Server::start("http_server", &[]);
    let page = request(&server, "GET", "/", &[]);
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        String::from_utf8(page.body)
            .unwrap()
            .contains("/files/ is empty")
    );
    assert_eq!(request(&server, "GET", "/files/a", &[]).status, 404);
    assert_eq!(request(&server, "GET", "/elsewhere", &[]).status, 404);
    let refused = request(&server, "POST", "/", &[]);
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn files_arrive_complete_and_identical() {
    let folder = TempDir::new("whole");
    fs::create_dir(folder.0.join("deep")).unwrap();
    let server = Server::start("http_server", &[folder.path()]);
    // Empty, and around the length of a chunk.
    for length in [0, 1, 128 * 1024, 128 * 1024 + 1, 3_000_000] {
        let file = folder.write("deep/with space.txt", length);
        let response = request(&server, "GET", "/files/deep/with%20space.txt", &[]);
        assert_eq!(response.status, 200);
        assert_eq!(
            response.header("content-length"),
            Some(&*length.to_string())
        );
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
        let content_type = response.header("content-type");
        assert_eq!(content_type, Some("text/plain; charset=utf-8"));
        assert!(response.body == file, "{length} bytes");

        let head = request(&server, "HEAD", "/files/deep/with%20space.txt", &[]);
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(&*length.to_string()));
        assert!(head.body.is_empty());
    }
}

#[test]
fn a_range_returns_a_part_and_one_beyond_the_end_is_rejected() {
    let folder = TempDir::new("ranges");
    let file = folder.write("file", 1000);
    let server = Server::start("http_server", &[folder.path()]);
    let request =
        |range: &str| request(&server, "GET", "/files/file", &[&format!("Range: {range}")]);

    let parts = [
        ("bytes=0-99", 0, 99),
        ("bytes=0-0", 0, 0),
        ("bytes=400-600", 400, 600),
        ("bytes=-100", 900, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=990-", 990, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=990-99999999999999999999999", 990, 999),
    ];
    for (range, first, last) in parts {
        let response = request(range);
        assert_eq!(response.status, 206, "{range}");
        let expected = format!("bytes {first}-{last}/1000");
        assert_eq!(response.header("content-range"), Some(&*expected));
        assert_eq!(response.body, file[first..=last], "{range}");
    }
    for range in ["bytes=1000-", "bytes=1000-1001", "bytes=-0"] {
        let response = request(range);
        assert_eq!(response.status, 416, "{range}");
        assert_eq!(response.header("content-range"), Some("bytes */1000"));
    }
    for range in [
        "bytes=5-4",
        "bytes=0-1,3-4",
        "bytes=-",
        "bytes=+1-2",
        "lines=1-2",
        "x",
    ] {
        let response = request(range);
        assert_eq!(
            (response.status, response.body.len()),
            (200, 1000),
            "{range}"
        );
    }
}

#[test]
fn the_etag_decides_conditional_and_range_requests() {
    let folder = TempDir::new("tags");
    folder.write("file", 1000);
    let server = Server::start("http_server", &[folder.path()]);
    let request = |headers: &[&str]| request(&server, "GET", "/files/file", headers);
    let first = request(&[]);
    let tag = first.header("etag").unwrap();

    let same = format!("If-Range: {tag}");
    assert_eq!(request(&["Range: bytes=0-1", &same]).status, 206);
    assert_eq!(
        request(&["Range: bytes=0-1", "If-Range: \"other\""]).status,
        200
    );
    let known = format!("If-None-Match: {tag}");
    let response = request(&[&known]);
    assert_eq!((response.status, response.body.len()), (304, 0));
    folder.write("file", 1001);
    assert_eq!(request(&[&known]).status, 200);
}

/// Requests a file until the server keeps it open for the next request. Other systems than Linux
/// open it each time.
fn request_until_kept(server: &Server, folder: &TempDir, name: &str) {
    #[cfg(target_os = "linux")]
    {
        let started = std::time::Instant::now();
        while !server.has_open(&folder.0.join(name)) {
            assert!(started.elapsed() < LIMIT);
            let response = request(server, "GET", &format!("/files/{name}"), &[]);
            assert_eq!(response.status, 200);
        }
    }
    let _ = (server, folder, name);
}

#[test]
fn each_response_has_the_file_that_the_path_leads_to() {
    let folder = TempDir::new("replaced");
    let (path, other) = (folder.0.join("file"), folder.0.join("other"));
    let server = Server::start("http_server", &[folder.path()]);
    let get = || request(&server, "GET", "/files/file", &[]);
    let keep = || request_until_kept(&server, &folder, "file");
    // Read at once, and sent by sendfile.
    for length in [1_000, 100_000] {
        let first = folder.write("file", length);
        assert!(get().body == first);
        keep();
        fs::write(&path, &first[1..]).unwrap();
        assert!(get().body == first[1..], "written anew");
        keep();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(2 * length as u64).unwrap();
        assert_eq!(get().body.len(), 2 * length, "extended");
        fs::write(&other, &first).unwrap();
        keep();
        fs::rename(&other, &path).unwrap();
        assert!(get().body == first, "replaced");
        keep();
        fs::rename(&path, &other).unwrap();
        assert_eq!(get().status, 404, "renamed");
        symlink(&other, &path).unwrap();
        assert_eq!(get().status, 404, "replaced by a symbolic link");
        fs::remove_file(&path).unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(get().body == first, "renamed back");
        keep();
        fs::remove_file(&path).unwrap();
        assert_eq!(get().status, 404, "removed");
    }
}

#[test]
fn a_renamed_directory_is_noticed_soon() {
    let folder = TempDir::new("renamed");
    fs::create_dir(folder.0.join("deep")).unwrap();
    folder.write("deep/file", 1_000);
    let server = Server::start("http_server", &[folder.path()]);
    request_until_kept(&server, &folder, "deep/file");
    fs::rename(folder.0.join("deep"), folder.0.join("other")).unwrap();
    let started = std::time::Instant::now();
    while request(&server, "GET", "/files/deep/file", &[]).status == 200 {
        assert!(started.elapsed() < LIMIT);
    }
    let moved = request(&server, "GET", "/files/other/file", &[]);
    assert_eq!(moved.status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_was_kept_open_is_closed_without_a_request() {
    let folder = TempDir::new("kept");
    folder.write("file", 1_000);
    let server = Server::start("http_server", &[folder.path()]);
    request_until_kept(&server, &folder, "file");
    let started = std::time::Instant::now();
    while server.has_open(&folder.0.join("file")) {
        assert!(started.elapsed() < LIMIT);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn nothing_outside_the_directory_is_served() {
    let outside = TempDir::new("outside");
    outside.write("secret", 10);
    let folder = TempDir::new("inside");
    folder.write("file", 10);
    fs::create_dir(folder.0.join("deep")).unwrap();
    symlink(outside.0.join("secret"), folder.0.join("link")).unwrap();
    symlink(&outside.0, folder.0.join("dirlink")).unwrap();
    let server = Server::start("http_server", &[folder.path()]);

    let absolute = outside.path();
    let name = Path::new(absolute).file_name().unwrap().to_str().unwrap();
    let paths = [
        format!("../{name}/secret"),
        format!("deep/../../{name}/secret"),
        format!("%2e%2e/{name}/secret"),
        format!("..%2f{name}%2Fsecret"),
        format!("%252e%252e/{name}/secret"),
        format!(".%2e/{name}/secret"),
        format!("{absolute}/secret"),
        format!("%2f{}/secret", &absolute[1..]),
        "link".to_owned(),
        "dirlink/secret".to_owned(),
        // Inside the directory, but not the name of a file.
        "deep".to_owned(),
        "./file".to_owned(),
        "file/".to_owned(),
        "file%00".to_owned(),
        "file%".to_owned(),
        "file%4".to_owned(),
        "%zz".to_owned(),
        String::new(),
    ];
    for path in paths {
        let response = request(&server, "GET", &format!("/files/{path}"), &[]);
        assert_eq!(response.status, 404, "{path}");
    }
    assert_eq!(request(&server, "GET", "/files/file", &[]).status, 200);
    assert_eq!(request(&server, "GET", "/files/f%69le", &[]).status, 200);
}

#[test]
fn a_file_truncated_during_a_download_ends_its_response_early() {
    let folder = TempDir::new("cut");
    let length = folder.write_hole("file");
    let server = Server::start("http_server", &[folder.path()]);
    let mut download = begin_download(&server, "/files/file");
    File::create(folder.0.join("file")).unwrap();
    let mut received = Vec::new();
    let _ = download.read_to_end(&mut received); // the end of the stream, or a reset
    assert!((received.len() as u64) < length);
    assert_eq!(request(&server, "GET", "/files/file", &[]).status, 200);
}

/// Requests a file and reads only the head of the response.
fn begin_download(server: &Server, path: &str) -> TcpStream {
    let mut stream = server.connect();
    send(&mut stream, "GET", path, &[]);
    assert_eq!(read_head(&mut stream).status, 200);
    stream
}

#[test]
fn ctrl_c_finishes_current_requests_and_accepts_no_new_ones() {
    let folder = TempDir::new("graceful");
    let file = folder.write("file", 20_000_000);
    let mut server = Server::start("http_server", &[folder.path()]);
    let mut idle = server.connect();
    send(&mut idle, "HEAD", "/", &[]);
    assert_eq!(read_head(&mut idle).status, 200);
    let silent = server.connect();
    let mut download = begin_download(&server, "/files/file");

    server.interrupt();
    server.line_with("shutting down: ");
    assert!(TcpStream::connect(server.address).is_err());
    for mut idle in [idle, silent] {
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    }
    let mut received = Vec::new();
    download.read_to_end(&mut received).unwrap();
    assert!(received == file);
    server.line_with("all requests are complete");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_ctrl_c_exits_at_once() {
    let folder = TempDir::new("at-once");
    folder.write_hole("file");
    let mut server = Server::start("http_server", &[folder.path()]);
    let download = begin_download(&server, "/files/file");
    server.interrupt();
    server.line_with("shutting down: 1 connections");
    server.interrupt();
    assert_eq!(server.wait().code(), Some(130));
    drop(download);
}

#[test]
fn more_clients_than_descriptors_are_all_served() {
    let server = Server::start_with_descriptors(64, "http_server", &[]);
    // HTTP/1.1 clients that keep their connections open by default.
    // Not more than wait in the queue of any system.
    let mut clients: Vec<_> = (0..120).map(|_| server.connect()).collect();
    for client in &mut clients {
        send(client, "HEAD", "/", &[]);
    }
    let responses = clients.iter_mut().map(read_head);
    let closed = responses.map(|response| {
        assert_eq!(response.status, 200);
        response.header("connection") == Some("close")
    });
    assert!(closed.filter(|&closed| closed).count() > 70);
}

#[test]
fn idle_clients_at_the_connection_limit_use_no_cpu_and_are_disconnected() {
    let folder = TempDir::new("idle_clients");
    let file = folder.write("file", 3_000_000);
    let server = Server::start_with_descriptors(64, "http_server", &[folder.path()]);
    let idle_clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    #[cfg(target_os = "linux")]
    let before = server.cpu_ticks();
    // This request is served when the connections accepted last exceed the idle limit.
    assert_eq!(request(&server, "GET", "/", &[]).status, 200);
    #[cfg(target_os = "linux")]
    assert!(
        server.cpu_ticks() - before <= 10,
        "at most 100 ms of CPU time"
    );
    // The one accepted last had the least time, and is answered.
    let mut response = String::new();
    let mut idle = &idle_clients[30];
    idle.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response:?}");
    drop(idle_clients);
    assert!(request(&server, "GET", "/files/file", &[]).body == file);
}

#[test]
fn a_file_without_a_free_descriptor_is_served_later() {
    let folder = TempDir::new("exhausted");
    let names: Vec<_> = (0..36).map(|i| format!("file{i}")).collect();
    for name in &names {
        folder.write_hole(name);
    }
    let server = Server::start_with_descriptors(64, "http_server", &[folder.path()]);
    // Each success holds a connection and a file of its own. All requests are sent before the first
    // response is read, since a crowded server waits only two seconds for a request.
    let mut clients: Vec<_> = names.iter().map(|_| server.connect()).collect();
    for (client, name) in clients.iter_mut().zip(&names) {
        send(client, "GET", &format!("/files/{name}"), &[]);
    }
    let mut rejected = 0;
    for client in &mut clients {
        let response = read_head(client);
        match response.status {
            200 => {}
            503 => {
                assert_eq!(response.header("retry-after"), Some("1"));
                rejected += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(rejected > 0 && rejected < 36, "{rejected}");
    drop(clients);
    assert_eq!(request(&server, "HEAD", "/files/file0", &[]).status, 200);
}

#[test]
fn a_client_that_closes_its_half_after_the_request_gets_the_whole_response() {
    let folder = TempDir::new("half-closed");
    let file = folder.write("file", 20_000_000);
    let server = Server::start("http_server", &[folder.path()]);
    for wait_for_head in [false, true] {
        let mut stream = server.connect();
        send(&mut stream, "GET", "/files/file", &["Connection: close"]);
        if wait_for_head {
            stream.peek(&mut [0]).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_head(&mut stream).status, 200);
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(received == file, "{} bytes", received.len());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn clients_that_never_read_do_not_keep_connections_and_files() {
    let folder = TempDir::new("unread");
    let length = folder.write_hole("file");
    let server = Server::start_with_descriptors(64, "http_server", &[folder.path()]);
    // From the 27th connection on the server is crowded, and waits for two seconds at most.
    let _silent: Vec<_> = (0..27).map(|_| server.connect()).collect();
    let mut unread: Vec<_> = (0..9)
        .map(|_| begin_download(&server, "/files/file"))
        .collect();
    let path = folder.0.join("file");
    while server.has_open(&path) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for client in &mut unread {
        let mut received = Vec::new();
        let _ = client.read_to_end(&mut received); // the end of the stream, or a reset
        assert!((received.len() as u64) < length);
    }
}

#[test]
fn an_error_of_the_disk_is_not_reported_as_a_missing_file() {
    let folder = TempDir::new("broken-disk");
    folder.write("file", 10);
    let path = folder.0.join("file");
    for (error, status) in [("EIO", 500), ("ENOMEM", 503), ("EACCES", 404)] {
        let faults = [
            "trace=statx,fstat",
            &*format!("inject=statx,fstat:error={error}"),
        ];
        let only_of_file = ["-P", path.to_str().unwrap()];
        let server =
            Server::start_with_faults(&faults, &only_of_file, "http_server", &[folder.path()]);
        let Some(server) = server else {
            return;
        };
        assert_eq!(request(&server, "GET", "/files/file", &[]).status, status);
    }
}
