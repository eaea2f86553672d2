//! The command line of all examples.

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
fn invalid_arguments_print_the_usage_and_exit_with_code_2() {
    let invalid: [&[&str]; 3] = [&["--nonsense"], &["--listen"], &["--listen", "here"]];
    for name in ALL {
        for arguments in invalid {
            let output = run(name, arguments);
            let stderr = text(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{name} {arguments:?}: {stderr}"
            );
            assert!(stderr.contains(&format!("\nusage: {name}")), "{stderr}");
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn help_prints_the_usage_and_succeeds() {
    for name in ALL {
        let output = run(name, &["--help"]);
        assert!(output.status.success());
        assert!(text(&output.stdout).starts_with(&format!("usage: {name}")));
    }
}

#[test]
fn an_address_in_use_is_reported_in_one_line_with_code_1() {
    let in_use = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = in_use.local_addr().unwrap().to_string();
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
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert!(
            stderr.contains(&address) && stderr.contains("in use"),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
    }
}
