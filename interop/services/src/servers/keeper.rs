//! A process that runs and stops a server.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Runs the server given by its arguments until the end of its input. The line `keep` keeps the
/// folder.
const SCRIPT: &str = r#"
folder=$1 signal=$2
shift 2
"$@" 2>&1 &
server=$!
# Now the end of the output is the end of the server.
exec >/dev/null 2>&1
read -r line
kill -s "$signal" "$server"
wait "$server"
[ "$line" = keep ] || rm -rf -- "$folder"
"#;

/// The user and group `nobody` of Linux. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// A server process.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    scratch: Scratch,
    port: u16,
    arguments: Vec<OsString>,
    keeper: Option<(Child, ChildStdin)>,
}

/// The properties that servers of one maker have in common.
#[derive(Debug)]
pub(super) struct Kind {
    /// The signal that stops the server.
    pub(super) signal: &'static str,
    /// A part of the line that the server logs once it accepts connections.
    pub(super) ready: &'static str,
    /// Returns the URL for the folder of the server and its port on 127.0.0.1.
    pub(super) url: fn(&Path, u16) -> String,
}

impl Server {
    /// Starts a server with the arguments that `arguments` returns for a free port.
    pub(super) fn start(
        kind: Kind,
        scratch: Scratch,
        arguments: impl Fn(&Path, u16) -> Vec<OsString>,
    ) -> Server {
        let mut server = Server {
            kind,
            scratch,
            port: 0,
            arguments: Vec::new(),
            keeper: None,
        };
        let mut attempts = 5;
        loop {
            server.port = free_port();
            server.arguments = arguments(&server.scratch.path, server.port);
            match server.run() {
                Ok(()) => return server,
                // The port may have been taken meanwhile.
                Err(log) if attempts == 0 => panic!("{:?}: {log}", server.arguments),
                Err(_) => attempts -= 1,
            }
        }
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL for clients.
    pub fn url(&self) -> String {
        (self.kind.url)(&self.scratch.path, self.port)
    }

    /// Returns the scratch folder of the server.
    pub fn folder(&self) -> &Path {
        &self.scratch.path
    }

    /// Stops the server and keeps its data.
    ///
    /// # Panics
    /// Panics if the server has been stopped.
    pub fn stop(&mut self) {
        let (mut child, mut input) = self.keeper.take().expect("the server runs");
        input.write_all(b"keep\n").unwrap();
        child.wait().unwrap();
    }

    /// Starts the server again, on the same port and with the same data.
    ///
    /// # Panics
    /// Panics if the server has not been stopped, or cannot start.
    pub fn start_again(&mut self) {
        assert!(self.keeper.is_none(), "the server has been stopped");
        self.run()
            .unwrap_or_else(|log| panic!("{:?}: {log}", self.arguments));
    }

    /// Returns what the server logged if it ends before it accepts connections.
    fn run(&mut self) -> Result<(), String> {
        let mut command = self.scratch.command("sh");
        command
            .args(["-c", SCRIPT, "keeper"])
            .arg(&self.scratch.path)
            .arg(self.kind.signal)
            .args(&self.arguments)
            // Signals to the group of the tests, such as that of Ctrl-C, are not for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("there is a shell");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        // It reads as long as the server runs: a full pipe would stop the server.
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let mut log = String::new();
        for line in receiver {
            if line.contains(self.kind.ready) {
                self.keeper = Some((child, input));
                return Ok(());
            }
            log = log + &line + "\n";
        }
        let mut input = input;
        input.write_all(b"keep\n").unwrap();
        child.wait().unwrap();
        Err(log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut child, input)) = self.keeper.take() {
            drop(input);
            let _ = child.wait();
        }
    }
}

/// A new folder that belongs to the user who runs the server: `nobody` if this process belongs to
/// root.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// True if the server runs as `nobody`.
    as_nobody: bool,
}

impl Scratch {
    pub(super) fn new(name: &str) -> Scratch {
        let mut scratch = Scratch::of_this_user(name);
        scratch.as_nobody = fs::metadata(&scratch.path).unwrap().uid() == 0;
        scratch.give_away(&scratch.path);
        scratch
    }

    /// Creates a folder for a server that runs as the user of this process, be it root.
    pub(super) fn of_this_user(name: &str) -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("runtime-{name}-{}-{count}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Scratch {
            path,
            as_nobody: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only the server may read.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap();
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, only_owner).unwrap();
        self.give_away(&path);
    }

    /// Returns a command that runs as the owner of the folder, in the folder.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path);
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn give_away(&self, path: &Path) {
        if self.as_nobody {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
