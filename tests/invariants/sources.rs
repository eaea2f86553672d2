//! The sources of the workspace, as these tests read them.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The source folders of the published crates.
pub(crate) const CRATES: [&str; 6] = [
    "src",
    "reactor/src",
    "executor/src",
    "net/src",
    "macros/src",
    "console/src",
];

/// A source file without the parts that are compiled for tests only.
pub(crate) struct Source {
    /// The path from the root of the workspace.
    pub(crate) path: String,
    /// The whole text, including comments.
    pub(crate) text: String,
    /// The lines that are not comments.
    pub(crate) code: String,
}

/// Returns the sources below a folder.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has sources");
    found.into_iter().map(read).collect()
}

/// Returns the sources of all published crates.
pub(crate) fn all_sources() -> Vec<Source> {
    CRATES.into_iter().flat_map(sources).collect()
}

/// Returns the paths of all files with one of these extensions that belong to the project.
pub(crate) fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extensions.iter().any(|one| extension == *one))
            {
                found.push(path);
            }
        }
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_for_tests = path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem == "conformance");
        if path.is_dir() && !is_for_tests {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_for_tests {
            found.push(path);
        }
    }
}

fn read(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let text = without_tests(&text);
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    Source {
        path: path.strip_prefix(ROOT).unwrap().display().to_string(),
        code: code.join("\n"),
        text: text.to_owned(),
    }
}

/// Removes the module of tests, which is the last item of its file.
fn without_tests(text: &str) -> &str {
    let mut start = 0;
    let mut attribute = None;
    for line in text.split_inclusive('\n') {
        let begins_tests = line.contains("mod ") && line.trim_end().ends_with('{');
        if let (Some(attribute), true) = (attribute, begins_tests) {
            return &text[..attribute];
        }
        let is_attribute = line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
        attribute = is_attribute.then_some(start);
        start += line.len();
    }
    text
}

#[test]
fn a_module_of_tests_is_cut_off_and_a_declaration_of_one_is_not() {
    let declared = "#[cfg(test)]\nmod tests;\nfn f() {}\n";
    assert_eq!(without_tests(declared), declared);
    let inline = "fn f() {}\n#[cfg(all(test, loom))]\npub(crate) mod tests {\n}\n";
    assert_eq!(without_tests(inline), "fn f() {}\n");
}
