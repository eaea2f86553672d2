//! The guides: what they claim of libraries, and that their examples are compiled.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::sources::ROOT;

/// A row of the table of libraries.
struct Row {
    libraries: String,
    versions: String,
    tests: Vec<String>,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn rows() -> Vec<Row> {
    let guide = read("src/guide/libraries.md");
    let table = guide
        .split_once("| library | version tested |")
        .expect("the guide has the table")
        .1;
    let lines = table.lines().skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let tests = cells[5].split(", ");
        Row {
            libraries: cells[1].to_owned(),
            versions: cells[2].to_owned(),
            tests: tests
                .map(|test| test.trim_matches('`').to_owned())
                .collect(),
        }
    };
    lines.map(row).collect()
}

/// Returns the name of the package that the description of a library begins with.
fn package(library: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let end = library.find(|c| !is_name(c)).unwrap_or(library.len());
    let name = &library[..end];
    if name == "SeaORM" {
        return "sea-orm".to_owned();
    }
    name.to_owned()
}

/// Returns the packages of a lock file as `name version`.
fn locked(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let mut packages = BTreeSet::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
        } else if let Some(value) = line.strip_prefix("version = ") {
            packages.insert(format!("{name} {}", value.trim_matches('"')));
        }
    }
    packages
}

#[test]
fn versions_in_the_table_of_libraries_are_those_of_the_lock_file() {
    let packages = locked("interop/Cargo.lock");
    let mut count = 0;
    for row in rows() {
        let libraries = row.libraries.split(", ").map(package);
        for (name, version) in libraries.zip(row.versions.split(", ")) {
            let claimed = format!("{name} {version}");
            let same = format!("{name} ");
            let found: Vec<_> = packages
                .iter()
                .filter(|one| one.starts_with(&same))
                .collect();
            assert!(
                packages.contains(&claimed),
                "the guide to libraries says {claimed}, and the lock file {found:?}"
            );
            count += 1;
        }
    }
    assert!(count > 30, "the table has {count} libraries");
}

#[test]
fn tests_in_the_table_of_libraries_exist() {
    for test in rows().into_iter().flat_map(|row| row.tests) {
        let path = match test.split_once("::") {
            Some((module, item)) => format!("src/{module}/{item}"),
            None if test.starts_with("services/") => format!("interop/services/tests/{test}"),
            None => format!("interop/tests/{test}"),
        };
        let path = Path::new(ROOT).join(path);
        let exists = path.exists() || path.with_extension("rs").exists();
        assert!(exists, "the guide to libraries names {test}");
    }
}

#[test]
fn examples_of_the_guides_are_compiled() {
    let guides = fs::read_dir(Path::new(ROOT).join("src/guide")).unwrap();
    let mut count = 0;
    for path in guides.map(|guide| guide.unwrap().path()) {
        let text = fs::read_to_string(&path).unwrap();
        let fences = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("```"));
        // Every second one is an end.
        for language in fences.step_by(2) {
            assert!(
                ["", "no_run", "should_panic", "toml"].contains(&language),
                "{}: nothing compiles the block {language:?}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 40, "the guides have {count} examples");
}
