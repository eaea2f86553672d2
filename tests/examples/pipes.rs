use crate::support::{run, run_unread, text};

#[test]
fn the_lines_come_in_order() {
    let output = run("pipes", &[]);
    assert_eq!(text(&output.stdout), "A - 1\nB - 2\nC - 3\nD - 4\n");
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn it_comes_to_its_end_though_nobody_reads_it() {
    let output = run_unread("pipes", &[]);
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());
}
