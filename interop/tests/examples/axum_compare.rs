//! The example `axum_compare`.

use crate::support::run;

#[test]
fn all_servers_answer_under_all_loads() {
    // Every answer is compared with the expected one.
    let arguments = ["cpu", "--rounds", "1", "--requests", "64"];
    let table = run("axum_compare", arguments);
    // The head has two lines.
    assert_eq!(table.lines().count(), 2 + 8, "{table}");
}
