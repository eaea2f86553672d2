//! A headless Chromium, driven by its DevTools protocol through pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::{Value, json};

/// The time after which a condition that does not hold fails the test.
const LIMIT: Duration = Duration::from_secs(180);

/// The names of the program.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

const OPTIONS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// A browser that has ended, or that does not answer. It is not the page that failed then.
#[derive(Debug)]
pub(crate) struct Gone(String);

pub(crate) type Result<T> = std::result::Result<T, Gone>;

/// A browser with one page, ended by the drop.
pub(crate) struct Browser {
    process: Child,
    profile: PathBuf,
    commands: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    /// Exceptions of scripts, and violations of the policy of the page.
    pub(crate) complaints: Vec<String>,
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut names = NAMES.iter();
    names.find_map(|name| {
        let mut candidates = folders.iter().map(|folder| folder.join(name));
        candidates.find(|candidate| candidate.is_file())
    })
}

impl Browser {
    /// Starts a browser with an empty profile.
    pub(crate) fn start() -> Result<Browser> {
        let missing = || Gone("Chromium is not installed".to_owned());
        let program = find().ok_or_else(missing)?;
        let profile = env::temp_dir().join(format!("runtime-console-{}", std::process::id()));
        let _ = fs::remove_dir_all(&profile);
        // The browser has its commands at descriptor 3 and its messages at 4.
        let mut process = Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null")
            .arg(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| Gone(format!("Chromium cannot be started: {e}")))?;
        let commands = process.stdin.take().unwrap();
        let (send, messages) = channel();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            let mut message = Vec::new();
            while reader
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                message.pop();
                let parsed = serde_json::from_slice(&message);
                if parsed.map(|message| send.send(message)).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Browser {
            process,
            profile,
            commands,
            messages,
            calls: 0,
            session: None,
            complaints: Vec::new(),
        };
        browser.open_page()?;
        Ok(browser)
    }

    fn open_page(&mut self) -> Result<()> {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let id = target["targetId"].clone();
        let attach = json!({"targetId": id, "flatten": true});
        let session = self.call("Target.attachToTarget", attach)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Log.enable", "Runtime.enable", "Page.enable"] {
            self.call(domain, json!({}))?;
        }
        Ok(())
    }

    /// Calls a method of the protocol.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let gone = |e: std::io::Error| Gone(format!("{method}: {e}"));
        let message = message.to_string() + "\0";
        self.commands.write_all(message.as_bytes()).map_err(gone)?;
        let begin = Instant::now();
        loop {
            let rest = LIMIT.saturating_sub(begin.elapsed());
            let message = self.messages.recv_timeout(rest).map_err(|e| match e {
                RecvTimeoutError::Timeout => Gone(format!("{method}: no answer in {LIMIT:?}")),
                RecvTimeoutError::Disconnected => Gone(format!("{method}: it has ended")),
            })?;
            if message["id"] == self.calls {
                assert!(message["error"].is_null(), "{method}: {message}");
                return Ok(message["result"].clone());
            }
            let event = message["method"].as_str().unwrap_or_default();
            let parameters = &message["params"];
            // A connection that is interrupted is logged as well, but is no fault of the page.
            let is_violation = parameters["entry"]["source"] == "security";
            if is_violation || event == "Runtime.exceptionThrown" {
                self.complaints.push(parameters.to_string());
            }
        }
    }

    /// Opens an address.
    pub(crate) fn open(&mut self, address: &str) -> Result<()> {
        self.call("Page.navigate", json!({"url": address}))
            .map(drop)
    }

    /// Returns the value of an expression in the page; null if it throws.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let result = self.call("Runtime.evaluate", parameters)?;
        Ok(result["result"]["value"].clone())
    }

    /// Waits until an expression in the page is true.
    pub(crate) fn wait_for(&mut self, expression: &str) -> Result<()> {
        let begin = Instant::now();
        while self.evaluate(expression)? != json!(true) {
            if begin.elapsed() > LIMIT {
                let body = self.evaluate("document.body.innerText")?;
                panic!(
                    "not in {LIMIT:?}: {expression}\n{body}\n{:?}",
                    self.complaints
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Its other processes end by themselves, and may still write.
        for _ in 0..20 {
            if fs::remove_dir_all(&self.profile).is_ok() || !self.profile.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}
