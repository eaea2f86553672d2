//! The examples `https_server` and `https_client`.

use std::process::Command;

use crate::support::{ScratchFile, Server, curl, peer, python, run};

/// Starts the server, and returns it with the certificate to trust.
fn start(name: &str) -> (Server, ScratchFile) {
    let roots = ScratchFile::new(name);
    let server = Server::start("https_server", &["--write-roots", roots.path()]);
    (server, roots)
}

#[test]
fn the_client_of_this_package_reads_a_page_and_gets_an_echo() {
    let (server, roots) = start("client.pem");
    let get = |scheme, path: &str, more: &[&str]| {
        let url = server.secure_url(scheme, path);
        let arguments = [&["--roots", roots.path()], more, &[&url]].concat();
        run("https_client", arguments)
    };
    let page = get("https", "/", &[]);
    assert_eq!(page, "HTTP/2.0 200 OK\nhello by HTTP/2.0\n");
    assert_eq!(get("wss", "/echo", &["--text", "a message"]), "a message\n");
    server.stop();
}

#[test]
fn curl_chooses_the_version_of_http() {
    let (server, roots) = start("curl.pem");
    let url = server.secure_url("https", "/");
    for (option, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
        let page = curl(&["--cacert", roots.path(), option, &url]);
        if let Some(page) = page {
            assert_eq!(page, format!("hello by {version}\n"));
        }
    }
    server.stop();
}

#[test]
fn openssl_verifies_the_certificate_and_agrees_on_a_protocol() {
    let (server, roots) = start("openssl.pem");
    let address = server.address.to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl");
        openssl.args([
            "s_client",
            "-verify_return_error",
            "-servername",
            "localhost",
        ]);
        openssl.args(["-ign_eof", "-alpn", "http/1.1", version]);
        openssl.args(["-CAfile", roots.path(), "-connect", &address]);
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        if let Some(text) = peer(&mut openssl, request) {
            assert!(text.contains("ALPN protocol: http/1.1"), "{text}");
            assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
            assert!(text.contains("hello by HTTP/1.1"), "{text}");
        }
    }
    server.stop();
}

#[test]
fn a_web_socket_of_python_is_echoed_by_tls() {
    let (server, roots) = start("python.pem");
    let url = server.secure_url("wss", "/echo");
    if let Some(text) = python("websocket_echo.py", [&*url, roots.path()]) {
        assert_eq!(text, "100 messages came back\n");
    }
    server.stop();
}

#[test]
fn a_client_that_sends_nothing_does_not_delay_the_handshake_of_another() {
    let (server, roots) = start("silent.pem");
    let silent = server.connect();
    let url = server.secure_url("https", "/");
    let page = run("https_client", ["--roots", roots.path(), &url]);
    assert!(page.ends_with("hello by HTTP/2.0\n"), "{page}");
    drop(silent);
    server.stop();
}
