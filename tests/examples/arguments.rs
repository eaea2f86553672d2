//! What all examples have in common.

use std::net::TcpListener;

use crate::support::{run, text};

const ALL: [&str; 12] = [
    "chat",
    "custom_fd",
    "echo",
    "foreign_loop",
    "http_get",
    "http_server",
    "per_core",
    "pipes",
    "proxy",
    "run",
    "ten_thousand",
    "udp_echo",
];

#[test]
fn bad_arguments_are_answered_with_the_usage_and_code_2() {
    let bad: [&[&str]; 3] = [&["--nonsense"], &["--listen"], &["--listen", "here"]];
    for name in ALL {
        for arguments in bad {
            let output = run(name, arguments);
            let said = text(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{name} {arguments:?}: {said}"
            );
            assert!(said.contains(&format!("\nusage: {name}")), "{said}");
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn help_is_no_error() {
    for name in ALL {
        let output = run(name, &["--help"]);
        assert!(output.status.success());
        assert!(text(&output.stdout).starts_with(&format!("usage: {name}")));
    }
}

#[test]
fn an_address_in_use_is_one_clear_line_and_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in [
        "chat",
        "echo",
        "foreign_loop",
        "http_server",
        "per_core",
        "proxy",
        "ten_thousand",
    ] {
        let mut arguments = vec!["--listen", &address];
        if name == "proxy" {
            arguments.extend(["--to", "127.0.0.1:1"]);
        }
        let output = run(name, &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(&address) && said.contains("in use"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
}
