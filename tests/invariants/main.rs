//! The invariants of ARCHITECTURE.md that are visible in the sources.

use std::fs;

mod guides;
mod imports;
mod prose;
mod sources;

use sources::{ROOT, Source, all_sources, sources};

/// Asserts that `what` occurs only in files whose paths begin with one of `allowed`, and that it
/// occurs somewhere, so that the search proves something.
fn only_in(what: &str, allowed: &[&str]) {
    let has_it = |source: &Source| source.code.contains(what);
    let places: Vec<String> = all_sources()
        .into_iter()
        .filter(has_it)
        .map(|source| source.path)
        .collect();
    assert!(
        !places.is_empty(),
        "{what:?} occurs nowhere: is this test up to date?"
    );
    for place in places {
        let is_allowed = allowed.iter().any(|prefix| place.starts_with(prefix));
        assert!(is_allowed, "{what:?} occurs in {place}");
    }
}

#[test]
fn unsafe_code_is_only_where_invariant_7_allows() {
    let allowed = [
        "reactor/src/sys/",
        "net/src/sys/",
        "executor/src/task/",
        "src/process/",
        "src/signal/",
        "src/sys/",
    ];
    for keyword in ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"] {
        only_in(keyword, &allowed);
    }
}

#[test]
fn platforms_are_distinguished_only_where_invariant_6_allows() {
    let allowed = [
        "reactor/src/sys/",
        "net/src/sys/",
        "src/process/",
        "src/signal/",
        "src/sys/",
    ];
    only_in("target_os", &allowed);
    only_in("target_vendor", &allowed);
}

#[test]
fn the_clock_is_read_only_where_it_may() {
    let allowed = [
        "reactor/src/clock.rs",
        "executor/src/blocking.rs",
        "console/src/events.rs",
        "console/src/stalls.rs",
        "src/insight/",
        "src/runtime/busy_poll.rs",
        "src/time/",
    ];
    only_in("Instant::now", &allowed);
}

#[test]
fn threads_are_started_only_by_the_blocking_pool_for_cores_and_to_watch() {
    let allowed = [
        "executor/src/blocking.rs",
        "src/insight/watch.rs",
        "src/runtime/per_core.rs",
    ];
    only_in("thread::Builder", &allowed);
    for source in all_sources() {
        assert!(
            !source.code.contains("thread::spawn"),
            "{} starts a thread",
            source.path
        );
        assert!(
            !source.code.contains("thread::sleep"),
            "{} sleeps",
            source.path
        );
    }
}

#[test]
fn the_leaves_do_not_know_each_other() {
    let knows = |folder: &str, words: &[&str]| {
        for Source { path, code, .. } in sources(folder) {
            for word in words {
                assert!(!code.contains(word), "{path} says {word:?}");
            }
        }
    };
    knows(
        "reactor/src",
        &["runtime_executor", "runtime_net", "JoinHandle", "Executor"],
    );
    knows(
        "executor/src",
        &["runtime_reactor", "runtime_net", "RawFd", "OwnedFd", "libc"],
    );
    knows(
        "net/src",
        &["runtime_executor", "Selector", "epoll", "kqueue"],
    );
}

#[test]
fn dependencies_are_those_that_architecture_lists() {
    let expected = [
        ("reactor", "libc parking_lot slab"),
        ("executor", "futures-core futures-task parking_lot slab"),
        (
            "net",
            "axum futures-core futures-io libc runtime-reactor socket2 tokio",
        ),
        ("macros", ""),
        ("console", "hyper runtime serde serde_json"),
    ];
    for (folder, expected) in expected {
        let manifest = fs::read_to_string(format!("{ROOT}/{folder}/Cargo.toml")).unwrap();
        let section = manifest
            .split("\n[dependencies]\n")
            .nth(1)
            .unwrap_or_default();
        let names = section.lines().take_while(|line| !line.starts_with('['));
        let names: Vec<&str> = names
            .filter_map(|line| line.split(['.', ' ']).next())
            .collect();
        let names = names
            .into_iter()
            .filter(|name| !name.is_empty() && *name != "#")
            .collect::<Vec<_>>();
        assert_eq!(names.join(" "), expected, "of {folder}");
    }
}

#[test]
fn the_loop_is_one_function_of_under_thirty_lines() {
    let runtime = sources("src")
        .into_iter()
        .find(|source| source.path == "src/runtime/block_on.rs");
    let code = runtime.expect("src/runtime/block_on.rs").code;
    assert!(code.contains("pub fn block_on"));
    let drive = code.split("fn drive<").nth(1).expect("Runtime::drive");
    let lines = drive.lines().take_while(|line| *line != "    }").count();
    assert!(drive.contains("loop {"));
    assert!(lines < 30, "{lines} lines");
}
