//! Helpers that run examples, and programs of other makers, as child processes.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The time after which a missing answer fails the test.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns the folder of the build: `target`.
fn target() -> PathBuf {
    // target/debug/deps/examples-0123
    let test = env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

/// Returns the command for an example.
fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --examples` in the folder interop",
        path.display()
    );
    Command::new(path)
}

/// Runs an example until it ends, and returns what it writes.
pub(crate) fn run<S: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = example(name).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs an example until it ends, and writes how often it makes each system call to the file
/// `counts`. Returns false, and prints why, if strace is missing or may not trace.
pub(crate) fn run_traced(counts: &str, name: &str, arguments: &[&str]) -> bool {
    let works = Command::new("strace").arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: strace, which counts system calls, cannot be used here");
        return false;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o", counts]);
    strace.arg(example(name).get_program()).args(arguments);
    let output = strace.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    true
}

/// Runs curl and returns what it writes. `None`, and a line that says so, if it is not installed.
pub(crate) fn curl(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "60"]);
    peer(command.args(arguments), "")
}

/// Runs a script of the folder `tests/peers` with the packages that `ci/peers` installs.
pub(crate) fn python<S: AsRef<OsStr>>(
    script: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Option<String> {
    let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let mut command = Command::new(target().join("peers/python/bin/python"));
    peer(command.arg(scripts.join(script)).args(arguments), "")
}

/// Runs a program of another maker with an input, and returns what it writes. `None`, and a line
/// that says so, if it is not installed.
pub(crate) fn peer(command: &mut Command, input: &str) -> Option<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: {program} is not installed, so it is no peer of this test");
            return None;
        }
        Err(e) => panic!("{program}: {e}"),
    };
    // It may end without reading its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {text} {errors}");
    Some(text)
}

/// A running server, killed on drop.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts an example on a port that the system chooses, and waits until it listens.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Server {
        let mut child = example(name)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{name} wrote {line:?}"));
        Server {
            child,
            stdout,
            address: address.parse().unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns a URL with the name in the certificate.
    pub(crate) fn secure_url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    /// Connects to it.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends Ctrl-C to it.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Returns the next line that it writes.
    pub(crate) fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Waits for its end, and returns what it wrote since it listened.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// Ends it by Ctrl-C.
    pub(crate) fn stop(self) -> String {
        self.interrupt();
        let (status, rest) = self.wait();
        assert!(status.success(), "{status} {rest}");
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the text ends with `end`.
pub(crate) fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|e| {
            panic!("{e} after {:?}", String::from_utf8_lossy(&text));
        });
        text.extend(byte);
    }
    String::from_utf8(text).unwrap()
}

/// A file that is removed on drop.
pub(crate) struct ScratchFile(PathBuf);

impl ScratchFile {
    pub(crate) fn new(name: &str) -> ScratchFile {
        let name = format!("runtime-interop-{}-{name}", std::process::id());
        ScratchFile(env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
