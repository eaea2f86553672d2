use crate::support::{run, run_unread, text};

#[test]
fn it_reports_the_cost_of_all_connections() {
    let output = run(
        "ten_thousand",
        &["--listen", "127.0.0.1:0", "--connections", "200"],
    );
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(stdout.starts_with("listening on 127.0.0.1:"), "{stdout}");
    assert!(stdout.contains("\n200 connections, "), "{stdout}");
    assert!(stdout.contains(", all 200 at once: p50 "), "{stdout}");
    // Each socket is registered once; the listener and the pipe only if they had to wait.
    let (before, rest) = number_after(stdout, "calls of the reactor: ");
    let (during, _) = number_after(rest, "before the traffic; ");
    assert!((200..=202).contains(&(before + during)), "{stdout}");
    // Standard error is not a terminal, so progress is lines and not a bar.
    let progress = text(&output.stderr);
    assert!(progress.contains("connecting: 200 of 200\n"), "{progress}");
    assert!(!progress.contains('\r'));
}

/// Returns the number after `words`, and the text after the number.
fn number_after<'a>(stdout: &'a str, words: &str) -> (u64, &'a str) {
    let (_, rest) = stdout.split_once(words).expect(words);
    let end = rest.find(|c: char| !c.is_ascii_digit()).expect("more text");
    (rest[..end].parse().expect("a number"), &rest[end..])
}

#[test]
#[cfg(target_os = "linux")]
fn it_has_one_thread_and_reports_its_memory() {
    let output = run(
        "ten_thousand",
        &["--listen", "127.0.0.1:0", "--connections", "50"],
    );
    let stdout = text(&output.stdout);
    assert!(stdout.contains("\n50 connections, 1 thread\n"), "{stdout}");
    assert!(stdout.contains(" bytes a connection ("), "{stdout}");
}

#[test]
fn it_succeeds_without_a_reader_of_its_output() {
    let arguments = ["--listen", "127.0.0.1:0", "--connections", "50"];
    let output = run_unread("ten_thousand", &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
