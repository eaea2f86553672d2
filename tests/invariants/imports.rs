//! The imports between files, and the circles among them.
//!
//! A file imports another one when a path in it (`crate::`, `self::`, `super::`, a child module, or
//! a name that `use` has brought in) ends at an item of that file. Re-exports are followed to the
//! file that has the item. Declaring a module or re-exporting from it is not an import.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::sources::{CRATES, sources};

/// The circles that are inherent, each named at the top of its files.
const DOCUMENTED: [&[&str]; 1] = [
    // A waker is a number: waking looks the scheduler of the thread up, which makes wakers.
    &[
        "executor/src/context.rs",
        "executor/src/scheduler.rs",
        "executor/src/task/wake.rs",
    ],
];

#[test]
fn no_files_import_each_other_in_a_circle_but_those_that_are_documented() {
    let mut complaints = String::new();
    let mut documented = BTreeSet::new();
    for folder in CRATES.into_iter().chain(["benches/src"]) {
        let files: Vec<(String, String)> = sources(folder)
            .into_iter()
            .map(|source| (source.path, source.code))
            .collect();
        let imports = Imports::of(folder, &files);
        for circle in imports.circles() {
            if DOCUMENTED.contains(&&*circle) {
                documented.insert(circle.join(" "));
            } else {
                complaints += &imports.describe(&circle);
            }
        }
    }
    assert!(complaints.is_empty(), "files in a circle:\n{complaints}");
    assert_eq!(
        documented.len(),
        DOCUMENTED.len(),
        "a circle that is documented is no longer there: remove it from the list"
    );
}

/// The imports of a crate: file, imported file, the names.
struct Imports<'a>(BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>);

impl<'a> Imports<'a> {
    fn of(root: &str, files: &'a [(String, String)]) -> Imports<'a> {
        let modules: BTreeMap<Vec<String>, Module<'a>> = files
            .iter()
            .map(|(path, code)| {
                let module = module_path(root, path);
                let parsed = Module::parse(path, code, &module);
                (module, parsed)
            })
            .collect();
        let mut imports: BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
        for (at, module) in &modules {
            for path in module.paths(at, &modules) {
                let resolved = resolve(&modules, &path, 0);
                if let Some((file, name)) = resolved.filter(|(file, _)| *file != module.file) {
                    let of_file = imports.entry(module.file).or_default();
                    of_file.entry(file).or_default().insert(name);
                }
            }
        }
        Imports(imports)
    }

    /// Returns the strongly connected components of more than one file.
    fn circles(&self) -> Vec<Vec<&'a str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> = self
            .0
            .keys()
            .map(|&file| (file, self.reached_from(file)))
            .collect();
        let mut circles = BTreeSet::new();
        for (file, targets) in &reached {
            let circle: Vec<&str> = targets
                .iter()
                .copied()
                .filter(|target| reached.get(target).is_some_and(|back| back.contains(file)))
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    fn reached_from(&self, file: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![file];
        while let Some(file) = ahead.pop() {
            for &target in self.0.get(file).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(target) {
                    ahead.push(target);
                }
            }
        }
        reached
    }

    fn describe(&self, circle: &[&str]) -> String {
        let mut text = format!("{} files:\n", circle.len());
        for file in circle {
            for (target, names) in &self.0[file] {
                if circle.contains(target) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    writeln!(text, "  {file} imports {} of {target}", names.join(", ")).unwrap();
                }
            }
        }
        text
    }
}

/// Returns the module path of a file: `src/a/mod.rs` is `a`, `src/a/b.rs` is `a::b`.
fn module_path(root: &str, path: &str) -> Vec<String> {
    let below = path.strip_prefix(root).unwrap().trim_start_matches('/');
    let below = below.strip_suffix(".rs").unwrap();
    let mut segments: Vec<String> = below.split('/').map(str::to_owned).collect();
    if matches!(segments.last().unwrap().as_str(), "mod" | "lib" | "main") {
        segments.pop();
    }
    segments
}

/// A file as a module.
struct Module<'a> {
    file: &'a str,
    /// The names of `use`, each with its path from the root of the crate.
    names: BTreeMap<String, Vec<String>>,
    /// The names of `names` that are re-exported.
    exported: BTreeSet<String>,
    /// The paths outside of `use`, as they are written.
    mentioned: BTreeSet<Vec<String>>,
}

impl<'a> Module<'a> {
    fn parse(file: &'a str, code: &str, at: &[String]) -> Module<'a> {
        let tokens = tokens(code);
        let mut module = Module {
            file,
            names: BTreeMap::new(),
            exported: BTreeSet::new(),
            mentioned: BTreeSet::new(),
        };
        let mut i = 0;
        while i < tokens.len() {
            if tokens[i] == "use" {
                let exported = i > 0 && (tokens[i - 1] == "pub" || tokens[i - 1] == ")");
                i += 1;
                let mut found = Vec::new();
                use_tree(&tokens, &mut i, &[], &mut found);
                for (name, path) in found {
                    if exported {
                        module.exported.insert(name.clone());
                    }
                    module.names.insert(name, absolute(&path, at));
                }
                continue;
            }
            let is_visibility = i > 1 && tokens[i - 1] == "in" && tokens[i - 2] == "(";
            let path = path(&tokens, &mut i);
            if path.len() > 1 && !is_visibility {
                module.mentioned.insert(path);
            } else if path.is_empty() {
                i += 1;
            }
        }
        module
    }

    /// Returns the paths of all imports, from the root of the crate.
    fn paths(
        &self,
        at: &[String],
        modules: &BTreeMap<Vec<String>, Module<'_>>,
    ) -> Vec<Vec<String>> {
        let used = self
            .names
            .iter()
            .filter(|(name, _)| !self.exported.contains(*name))
            .map(|(_, path)| path.clone());
        let mentioned = self.mentioned.iter().filter_map(|path| {
            if matches!(path[0].as_str(), "crate" | "self" | "super") {
                return Some(absolute(path, at));
            }
            let child = [at, &path[..1]].concat();
            let start = match self.names.get(&path[0]) {
                Some(start) => start.clone(),
                None if modules.contains_key(&child) => child,
                None => return None,
            };
            Some([&start[..], &path[1..]].concat())
        });
        used.chain(mentioned).collect()
    }
}

/// Returns the file in which a path from the root of the crate ends, and the name there. A path
/// that ends at a module ends in no file. One that leads out of the crate ends where it begins.
fn resolve<'a>(
    modules: &BTreeMap<Vec<String>, Module<'a>>,
    path: &[String],
    depth: usize,
) -> Option<(&'a str, String)> {
    let mut at = Vec::new();
    for (i, segment) in path.iter().enumerate() {
        let child = [&at[..], std::slice::from_ref(segment)].concat();
        if modules.contains_key(&child) {
            at = child;
            continue;
        }
        let module = modules.get(&at)?;
        if let Some(exported) = module.names.get(segment).filter(|_| depth < 8) {
            let whole = [&exported[..], &path[i + 1..]].concat();
            return resolve(modules, &whole, depth + 1);
        }
        return Some((module.file, segment.clone()));
    }
    None
}

/// Makes a path absolute: without `crate`, `self` and `super`.
fn absolute(path: &[String], at: &[String]) -> Vec<String> {
    let mut base = at.to_vec();
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate") => return path[1..].to_vec(),
        Some("self") => rest = &path[1..],
        Some("super") => {
            while rest.first().is_some_and(|segment| segment == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        // A child module, or another crate, which then is found nowhere below this module.
        _ => {}
    }
    [&base[..], rest].concat()
}

/// Reads a tree of `use`: each name that it brings in, with its path.
fn use_tree(
    tokens: &[&str],
    i: &mut usize,
    prefix: &[String],
    found: &mut Vec<(String, Vec<String>)>,
) {
    let mut path = prefix.to_vec();
    while let Some(&token) = tokens.get(*i) {
        *i += 1;
        match token {
            "::" => {}
            "{" => {
                while tokens.get(*i).is_some_and(|&token| token != "}") {
                    use_tree(tokens, i, &path, found);
                    if tokens.get(*i) == Some(&",") {
                        *i += 1;
                    }
                }
                *i += 1;
                return;
            }
            "as" => {
                let name = tokens[*i].to_owned();
                *i += 1;
                found.push((name, path));
                return;
            }
            "*" => {
                found.push((format!("*{}", path.join("::")), path));
                return;
            }
            _ => path.push(token.to_owned()),
        }
        if matches!(tokens.get(*i), Some(&("," | "}" | ";")) | None) {
            if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                path.pop();
            }
            found.push((path.last().unwrap().clone(), path));
            return;
        }
    }
}

/// Reads a path `a::b::c` if one begins here; generic arguments end it.
fn path(tokens: &[&str], i: &mut usize) -> Vec<String> {
    let mut path = Vec::new();
    while let Some(token) = tokens.get(*i).filter(|token| is_word(token)) {
        path.push((*token).to_owned());
        *i += 1;
        let goes_on =
            tokens.get(*i) == Some(&"::") && tokens.get(*i + 1).is_some_and(|token| is_word(token));
        if !goes_on {
            break;
        }
        *i += 1;
    }
    path
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits code into words, `::` and single characters; strings and what follows `//` are left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            rest = &rest[length..];
            continue;
        } else if first == '"' {
            rest = &rest[string_length(rest)..];
            continue;
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
            continue;
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    tokens
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return i + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> String {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, code)| ((*path).to_owned(), (*code).to_owned()))
            .collect();
        let imports = Imports::of("src", &files);
        let circles = imports.circles();
        circles
            .iter()
            .map(|circle| imports.describe(circle))
            .collect()
    }

    #[test]
    fn a_circle_is_found_and_its_imports_are_named() {
        let found = circles_of(&[
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "use crate::b::{B, one as two};"),
            ("src/b.rs", "fn f() -> super::c::C { crate::c::make() }"),
            ("src/c.rs", "use crate::a; fn g() { a::call::<u8>(); }"),
            ("src/d.rs", "use crate::a::A;"),
        ]);
        assert_eq!(
            found,
            "3 files:\n  src/a.rs imports B, one of src/b.rs\n  src/b.rs imports C, make of \
             src/c.rs\n  src/c.rs imports call of src/a.rs\n"
        );
    }

    #[test]
    fn re_exports_are_followed_and_are_no_imports_themselves() {
        let below = ("src/sys/epoll.rs", "use super::Selector; use crate::Token;");
        let trait_apart = circles_of(&[
            (
                "src/lib.rs",
                "mod sys; mod token; pub(crate) use token::Token;",
            ),
            ("src/token.rs", "pub struct Token;"),
            (
                "src/sys/mod.rs",
                "mod epoll; mod selector; pub use selector::Selector; fn open() { epoll::new() }",
            ),
            ("src/sys/selector.rs", "pub trait Selector {}"),
            below,
        ]);
        assert_eq!(trait_apart, "");
        let trait_above = circles_of(&[
            (
                "src/sys/mod.rs",
                "mod epoll; trait Selector {} fn open() { epoll::new() }",
            ),
            below,
        ]);
        assert!(trait_above.contains("src/sys/epoll.rs imports Selector of src/sys/mod.rs"));
    }

    #[test]
    fn comments_strings_visibility_and_other_crates_are_no_imports() {
        let found = circles_of(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B; pub(in crate::b) fn f() {}"),
            (
                "src/b.rs",
                "// crate::a::A\nuse std::a::A; const S: &str = \"\\\"crate::a::A\";",
            ),
        ]);
        assert_eq!(found, "");
    }
}
