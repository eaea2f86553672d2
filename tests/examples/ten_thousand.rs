use crate::support::{run, run_unread, text};

#[test]
fn it_reports_on_all_its_connections() {
    let output = run(
        "ten_thousand",
        &["--listen", "127.0.0.1:0", "--connections", "200"],
    );
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.starts_with("listening on 127.0.0.1:"), "{said}");
    assert!(said.contains("\n200 connections, "), "{said}");
    assert!(said.contains(", all 200 at once: p50 "), "{said}");
    // The sockets, each once and never again; and the listener and the pipe, if they ever had to wait.
    let (before, rest) = number_after(said, "calls of the reactor: ");
    let (during, _) = number_after(rest, "before the traffic; ");
    assert!((200..=202).contains(&(before + during)), "{said}");
    // Not on a terminal: lines, not a bar.
    let progress = text(&output.stderr);
    assert!(progress.contains("connecting: 200 of 200\n"), "{progress}");
    assert!(!progress.contains('\r'));
}

/// The number that stands behind `words`, and what comes after it.
fn number_after<'a>(said: &'a str, words: &str) -> (u64, &'a str) {
    let (_, rest) = said.split_once(words).expect(words);
    let end = rest.find(|c: char| !c.is_ascii_digit()).expect("more text");
    (rest[..end].parse().expect("a number"), &rest[end..])
}

#[test]
#[cfg(target_os = "linux")]
fn it_has_one_thread_and_knows_its_memory() {
    let output = run(
        "ten_thousand",
        &["--listen", "127.0.0.1:0", "--connections", "50"],
    );
    let said = text(&output.stdout);
    assert!(said.contains("\n50 connections, 1 thread\n"), "{said}");
    assert!(said.contains(" bytes a connection ("), "{said}");
}

#[test]
fn it_comes_to_its_end_though_nobody_reads_it() {
    let arguments = ["--listen", "127.0.0.1:0", "--connections", "50"];
    let output = run_unread("ten_thousand", &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
