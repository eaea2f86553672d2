//! Requests and their responses.

mod support;

use runtime::Runtime;
use runtime_console::Builder;
use support::Program;

#[test]
fn the_page_is_served_with_a_policy_that_permits_nothing_else() {
    let program = Program::idle();
    let (head, body) = program.get("/");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'nonce-",
        "frame-ancestors 'none'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    assert!(body.starts_with("<!doctype html>"));
    assert!(body.contains("runtime::Builder::track_tasks(true)"));
    assert!(body.ends_with("</html>\n"));
}

#[test]
fn the_page_is_titled_with_the_escaped_name_of_its_runtime() {
    let start = |name: &str| {
        let runtime = Runtime::builder().name(name);
        Program::start(runtime, Builder::new(), || {})
    };
    let programs = [start("first"), start("<b>&\"second\"")];
    let titles = ["first", "&#60;b&#62;&#38;&#34;second&#34;"];
    for (program, title) in programs.iter().zip(titles) {
        let (_, body) = program.get("/");
        assert!(body.contains(&format!("<title>{title} - runtime console</title>")));
        assert!(body.contains(&format!("<h1 id=\"name\">{title}</h1>")));
    }
    let names = programs
        .each_ref()
        .map(|program| program.events().next()["runtime"].clone());
    assert_eq!(names, ["first", "<b>&\"second\""]);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let program = Program::idle();
    for path in ["/favicon.ico", "/events/", "/../etc/passwd", "//"] {
        let (head, _) = program.get(path);
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request = format!("{method} /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, _) = program.send(&request);
        assert!(head.starts_with("HTTP/1.1 405 "), "{method}: {head}");
        assert!(head.contains("allow: GET, HEAD"), "{head}");
    }
}

#[test]
fn a_query_is_ignored() {
    let program = Program::idle();
    let (head, _) = program.get("/?a=b");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[test]
fn head_returns_the_head_alone() {
    let program = Program::idle();
    let length_of = |head: &str| {
        let lines = head.lines();
        let mut length = lines.filter_map(|line| line.strip_prefix("content-length: "));
        length.next_back().unwrap().parse::<usize>().unwrap()
    };
    let (head, body) = program.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(body, "");
    let (_, whole) = program.get("/");
    assert_eq!(length_of(&head), whole.len());
    let (head, body) = program.send("HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert_eq!(body, "");
}

#[test]
fn a_request_for_another_host_is_refused() {
    let console = Builder::new().allow_host("console.example");
    let program = Program::start(Runtime::builder(), console, || {});
    let status = |path: &str, headers: &str| {
        let (head, _) = program.send(&format!("HEAD {path} HTTP/1.1\r\n{headers}\r\n"));
        head.split(' ').nth(1).unwrap().to_owned()
    };
    let port = program.address.port();
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        "[::1]".to_owned(),
        "console.example".to_owned(),
    ] {
        assert_eq!(status("/", &format!("Host: {host}\r\n")), "200", "{host}");
    }
    for path in ["/", "/events", "/nothing"] {
        assert_eq!(status(path, "Host: rebound.example\r\n"), "421", "{path}");
        assert_eq!(status(path, ""), "421", "{path}");
        let two = "Host: localhost\r\nHost: rebound.example\r\n";
        assert_eq!(status(path, two), "421", "{path}");
    }
    let target = "http://rebound.example/events";
    assert_eq!(status(target, "Host: localhost\r\n"), "421");
}

#[test]
fn events_are_not_for_the_pages_of_other_sites() {
    let program = Program::idle();
    for (site, status) in [
        ("cross-site", "403"),
        ("same-site", "403"),
        ("same-origin", "200"),
    ] {
        let head =
            format!("HEAD /events HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: {site}\r\n");
        let (head, _) = program.send(&(head + "\r\n"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[test]
fn what_is_not_http_is_answered_by_an_error() {
    let program = Program::idle();
    let (head, _) = program.send("\u{16}\u{3}\u{1}not a request\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}
