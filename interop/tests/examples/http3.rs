//! The example `http3`.

use crate::support::{ScratchFile, Server, python, run};

#[test]
fn the_client_of_this_package_and_that_of_aioquic_get_an_answer() {
    let roots = ScratchFile::new("http3.pem");
    let server = Server::start("http3", &["server", "--write-roots", roots.path()]);
    let url = server.secure_url("https", "/path");
    let text = run("http3", ["client", "--roots", roots.path(), &url]);
    assert_eq!(text, "HTTP/3.0 200 OK\nGET /path 0\n");
    let port = server.address.port().to_string();
    if let Some(text) = python("http3_post.py", [&*port, roots.path()]) {
        assert_eq!(text, "200 POST /python 1000000\n");
    }
    server.stop();
}
