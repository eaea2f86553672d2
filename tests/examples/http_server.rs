use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{Server, ask, read_head, send};

/// A directory that is removed with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("runtime-http-server-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// A file in which every place looks different.
    fn write(&self, name: &str, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(4) as u32).map(|i| i.wrapping_mul(0x9e37_79b9));
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes.truncate(length);
        fs::write(self.0.join(name), &bytes).unwrap();
        bytes
    }

    /// A file that is too long for the buffers of sockets, though not for the disk: it is a hole.
    fn write_hole(&self, name: &str) -> u64 {
        const LENGTH: u64 = 64 << 20;
        let file = File::create(self.0.join(name)).unwrap();
        file.set_len(LENGTH).unwrap();
        LENGTH
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_page_says_whether_there_are_files() {
    let server = Server::start("http_server", &[]);
    let page = ask(&server, "GET", "/", &[]);
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        String::from_utf8(page.body)
            .unwrap()
            .contains("nothing at /files/")
    );
    assert_eq!(ask(&server, "GET", "/files/a", &[]).status, 404);
    assert_eq!(ask(&server, "GET", "/elsewhere", &[]).status, 404);
    let refused = ask(&server, "POST", "/", &[]);
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn files_come_whole_and_identical() {
    let folder = Folder::new("whole");
    fs::create_dir(folder.0.join("deep")).unwrap();
    let server = Server::start("http_server", &[folder.path()]);
    // Around the length of a piece, and none at all.
    for length in [0, 1, 128 * 1024, 128 * 1024 + 1, 3_000_000] {
        let file = folder.write("deep/with space.txt", length);
        let answer = ask(&server, "GET", "/files/deep/with%20space.txt", &[]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), Some(&*length.to_string()));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("text/plain; charset=utf-8"));
        assert!(answer.body == file, "{length} bytes");

        let head = ask(&server, "HEAD", "/files/deep/with%20space.txt", &[]);
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(&*length.to_string()));
        assert!(head.body.is_empty());
    }
}

#[test]
fn a_range_is_a_part_and_one_beyond_the_end_is_refused() {
    let folder = Folder::new("ranges");
    let file = folder.write("file", 1000);
    let server = Server::start("http_server", &[folder.path()]);
    let ask = |range: &str| ask(&server, "GET", "/files/file", &[&format!("Range: {range}")]);

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
        let answer = ask(range);
        assert_eq!(answer.status, 206, "{range}");
        let expected = format!("bytes {first}-{last}/1000");
        assert_eq!(answer.header("content-range"), Some(&*expected));
        assert_eq!(answer.body, file[first..=last], "{range}");
    }
    for range in ["bytes=1000-", "bytes=1000-1001", "bytes=-0"] {
        let answer = ask(range);
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), Some("bytes */1000"));
    }
    for range in [
        "bytes=5-4",
        "bytes=0-1,3-4",
        "bytes=-",
        "bytes=+1-2",
        "lines=1-2",
        "x",
    ] {
        let answer = ask(range);
        assert_eq!((answer.status, answer.body.len()), (200, 1000), "{range}");
    }
}

#[test]
fn the_tag_says_whether_a_part_still_fits_and_whether_to_send_at_all() {
    let folder = Folder::new("tags");
    folder.write("file", 1000);
    let server = Server::start("http_server", &[folder.path()]);
    let ask = |headers: &[&str]| ask(&server, "GET", "/files/file", headers);
    let first = ask(&[]);
    let tag = first.header("etag").unwrap();

    let same = format!("If-Range: {tag}");
    assert_eq!(ask(&["Range: bytes=0-1", &same]).status, 206);
    assert_eq!(
        ask(&["Range: bytes=0-1", "If-Range: \"other\""]).status,
        200
    );
    let known = format!("If-None-Match: {tag}");
    let answer = ask(&[&known]);
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    folder.write("file", 1001);
    assert_eq!(ask(&[&known]).status, 200);
}

#[test]
fn nothing_outside_the_directory_can_be_had() {
    let outside = Folder::new("outside");
    outside.write("secret", 10);
    let folder = Folder::new("inside");
    folder.write("file", 10);
    fs::create_dir(folder.0.join("deep")).unwrap();
    symlink(outside.0.join("secret"), folder.0.join("link")).unwrap();
    symlink(&outside.0, folder.0.join("dirlink")).unwrap();
    let server = Server::start("http_server", &[folder.path()]);

    let absolute = outside.path();
    let name = Path::new(absolute).file_name().unwrap().to_str().unwrap();
    let tricks = [
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
        // Inside, but no file's name.
        "deep".to_owned(),
        "./file".to_owned(),
        "file/".to_owned(),
        "file%00".to_owned(),
        "file%".to_owned(),
        "file%4".to_owned(),
        "%zz".to_owned(),
        String::new(),
    ];
    for trick in tricks {
        let answer = ask(&server, "GET", &format!("/files/{trick}"), &[]);
        assert_eq!(answer.status, 404, "{trick}");
    }
    assert_eq!(ask(&server, "GET", "/files/file", &[]).status, 200);
    assert_eq!(ask(&server, "GET", "/files/f%69le", &[]).status, 200);
}

#[test]
fn a_file_that_is_cut_short_meanwhile_breaks_its_answer_off() {
    let folder = Folder::new("cut");
    let length = folder.write_hole("file");
    let server = Server::start("http_server", &[folder.path()]);
    let mut download = begin_download(&server, "/files/file");
    File::create(folder.0.join("file")).unwrap();
    let mut came = Vec::new();
    let _ = download.read_to_end(&mut came); // the end, or a reset
    assert!((came.len() as u64) < length);
    assert_eq!(ask(&server, "GET", "/files/file", &[]).status, 200);
}

/// Asks for a file and reads no more than the head of the answer.
fn begin_download(server: &Server, path: &str) -> TcpStream {
    let mut stream = server.connect();
    send(&mut stream, "GET", path, &[]);
    assert_eq!(read_head(&mut stream).status, 200);
    stream
}

#[test]
fn ctrl_c_lets_requests_finish_and_nobody_begin() {
    let folder = Folder::new("graceful");
    let file = folder.write("file", 20_000_000);
    let mut server = Server::start("http_server", &[folder.path()]);
    let mut idle = server.connect();
    send(&mut idle, "HEAD", "/", &[]);
    assert_eq!(read_head(&mut idle).status, 200);
    let silent = server.connect();
    let mut download = begin_download(&server, "/files/file");

    server.interrupt();
    server.line_with("ending: ");
    assert!(TcpStream::connect(server.address).is_err());
    for mut idle in [idle, silent] {
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    }
    let mut came = Vec::new();
    download.read_to_end(&mut came).unwrap();
    assert!(came == file);
    server.line_with("all requests are finished");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let folder = Folder::new("at-once");
    folder.write_hole("file");
    let mut server = Server::start("http_server", &[folder.path()]);
    let download = begin_download(&server, "/files/file");
    server.interrupt();
    server.line_with("ending: 1 connections");
    server.interrupt();
    assert_eq!(server.wait().code(), Some(130));
    drop(download);
}

#[test]
fn more_clients_than_descriptors_are_all_served() {
    let server = Server::start_with_descriptors(64, "http_server", &[]);
    // They would all keep their connections if they could.
    let mut clients: Vec<_> = (0..150).map(|_| server.connect()).collect();
    for client in &mut clients {
        send(client, "HEAD", "/", &[]);
    }
    let answers = clients.iter_mut().map(read_head);
    let closed = answers.map(|answer| {
        assert_eq!(answer.status, 200);
        answer.header("connection") == Some("close")
    });
    assert!(closed.filter(|&closed| closed).count() > 100);
}

#[test]
fn idle_clients_who_hold_all_places_cost_nothing_and_have_to_leave() {
    let folder = Folder::new("hogs");
    let file = folder.write("file", 3_000_000);
    let server = Server::start_with_descriptors(64, "http_server", &[folder.path()]);
    let hogs: Vec<_> = (0..40).map(|_| server.connect()).collect();
    #[cfg(target_os = "linux")]
    let before = server.processor_ticks();
    // Its turn comes when those who were let in last have been silent for too long.
    assert_eq!(ask(&server, "GET", "/", &[]).status, 200);
    #[cfg(target_os = "linux")]
    assert!(
        server.processor_ticks() - before <= 10,
        "a tenth of a second"
    );
    drop(hogs);
    assert!(ask(&server, "GET", "/files/file", &[]).body == file);
}

#[test]
fn a_file_for_which_there_is_no_descriptor_can_be_asked_for_later() {
    let folder = Folder::new("exhausted");
    folder.write_hole("file");
    let server = Server::start_with_descriptors(64, "http_server", &[folder.path()]);
    // Each that succeeds holds a connection and a file. All ask before the first is answered: a
    // crowded server waits only two seconds for a request.
    let mut clients: Vec<_> = (0..36).map(|_| server.connect()).collect();
    for client in &mut clients {
        send(client, "GET", "/files/file", &[]);
    }
    let mut refused = 0;
    for client in &mut clients {
        let answer = read_head(client);
        match answer.status {
            200 => {}
            503 => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused > 0 && refused < 36, "{refused}");
    drop(clients);
    assert_eq!(ask(&server, "HEAD", "/files/file", &[]).status, 200);
}
