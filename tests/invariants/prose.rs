//! The rules of CONTRIBUTING.md for documentation and comments, as far as a program can check them.

use std::fs;

use super::sources::{ROOT, all_sources, files};

/// First words that leave a summary without a subject.
const RIDDLES: [&str; 12] = [
    "As", "What", "Whether", "So", "Who", "Whoever", "Whom", "Whose", "Which", "How", "Those",
    "That",
];

/// Words and phrases that no comment may contain, because a reader has to guess their meaning.
const VAGUE: [&str; 33] = [
    "somebody",
    "someone",
    "nobody",
    "whoever",
    "errand",
    "tenant",
    "doorbell",
    "quietly",
    "by hope",
    "by a hair",
    "hears of",
    " told ",
    " tells ",
    "at the most",
    " anew",
    " hence ",
    "thereby",
    "hither",
    " shall ",
    " hear ",
    " is gone",
    "mailbox",
    "adopt",
    "meanwhile",
    "beforehand",
    "likewise",
    "for ever ",
    "goes on",
    "what becomes",
    "ours alone",
    "has it that",
    "behind its back",
    "all the same",
];

/// A public item and its summary: the first paragraph of its documentation.
struct Summary {
    place: String,
    item: String,
    text: String,
}

#[derive(PartialEq, Debug)]
enum Kind {
    Function,
    Type,
    Other,
}

impl Summary {
    fn kind(&self) -> Kind {
        let mut words = self
            .item
            .split([' ', '(', '<'])
            .skip_while(|word| matches!(*word, "pub" | "const" | "async" | "unsafe"));
        match words.next() {
            Some("fn") => Kind::Function,
            Some("struct" | "enum" | "trait" | "type" | "union") => Kind::Type,
            _ => Kind::Other,
        }
    }

    /// Returns what is wrong with it.
    fn complaint(&self) -> Option<&'static str> {
        let first = self.text.split([' ', ',', '.']).next().unwrap_or_default();
        if self.text.is_empty() {
            return Some("has no summary");
        }
        if RIDDLES.contains(&first) || self.text.starts_with("For those") {
            return Some("begins with a word that hides its subject");
        }
        let is_verb = first.starts_with(|c: char| c.is_ascii_uppercase())
            && first.ends_with('s')
            && !first.ends_with("ss")
            && !matches!(first, "This" | "Its" | "Yes" | "His");
        match self.kind() {
            Kind::Function if !is_verb && first != "Poll-based" => {
                Some("does not begin with a verb in the third person")
            }
            Kind::Type if is_verb => Some("is not a noun phrase"),
            _ => None,
        }
    }
}

#[test]
fn summaries_of_public_items_stand_alone() {
    let mut summaries = Vec::new();
    for source in all_sources() {
        summaries.extend(summaries_of(&source.path, &source.text));
    }
    assert!(summaries.len() > 500, "only {} were found", summaries.len());
    let complaints: Vec<String> = summaries
        .iter()
        .filter_map(|summary| {
            let Summary { place, item, text } = summary;
            let complaint = summary.complaint()?;
            Some(format!("{place}: {complaint}: {text:?} of {item}"))
        })
        .collect();
    assert!(
        complaints.is_empty(),
        "{} summaries:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

/// Documentation of private items, tests, benchmarks and examples included.
#[test]
fn no_documentation_hides_its_subject() {
    let mut complaints = Vec::new();
    for path in files(&["rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(ROOT).unwrap().display();
        for (number, line) in hidden_subjects(&text) {
            complaints.push(format!("{path}:{number}: {line}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn comments_use_plain_words() {
    let mut complaints = Vec::new();
    for source in all_sources() {
        for (number, line) in source.text.lines().enumerate() {
            let Some((_, comment)) = line.split_once("//") else {
                continue;
            };
            let comment = format!(" {} ", comment.to_lowercase());
            for word in VAGUE {
                if comment.contains(word) {
                    complaints.push(format!("{}:{}: {word:?}", source.path, number + 1));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn lines_fit_a_hundred_columns_of_rust_and_120_of_markdown() {
    let mut complaints = Vec::new();
    for path in files(&["rs", "md"]) {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let limit = if is_rust { 100 } else { 120 };
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(ROOT).unwrap().display();
        for (number, line) in text.lines().enumerate() {
            // Tables and the targets of links cannot be wrapped.
            let is_free = !is_rust && (line.starts_with('|') || line.starts_with('['));
            if line.chars().count() > limit && !is_free {
                complaints.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "{} lines are too long:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn relative_links_of_markdown_lead_to_files() {
    let mut links = 0;
    for path in files(&["md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            // The guides link to items, which rustdoc checks.
            if target.is_empty() || target.contains("://") || target.contains("::") {
                continue;
            }
            let file = path.parent().unwrap().join(target);
            assert!(file.exists(), "{}: {target} is missing", path.display());
            links += 1;
        }
    }
    assert!(links > 10, "{links} links were found");
}

/// Returns the first lines of documentation that begin with one of [`RIDDLES`], with their numbers.
fn hidden_subjects(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut previous = "";
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        for marker in ["///", "//!"] {
            let Some(summary) = line.strip_prefix(marker) else {
                continue;
            };
            let first = summary.trim().split([' ', ',', '.']).next();
            if !previous.starts_with(marker) && first.is_some_and(|it| RIDDLES.contains(&it)) {
                found.push((number + 1, line));
            }
        }
        previous = line;
    }
    found
}

fn summaries_of(path: &str, text: &str) -> Vec<Summary> {
    let mut found = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut attribute_depth = 0_usize;
    let mut is_hidden = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim());
            continue;
        }
        if attribute_depth > 0 || line.starts_with("#[") {
            // A summary that a macro puts together cannot be read here.
            is_hidden |= line.contains("doc(hidden)") || line.starts_with("#[doc = ");
            attribute_depth += line.matches('[').count();
            attribute_depth = attribute_depth.saturating_sub(line.matches(']').count());
            continue;
        }
        if line.starts_with("$(#[") {
            is_hidden = true;
            continue;
        }
        let is_item = line.starts_with("pub ") && !line.starts_with("pub use ");
        if is_item && !docs.is_empty() && !is_hidden {
            let summary = docs.iter().take_while(|line| !line.is_empty());
            found.push(Summary {
                place: format!("{path}:{}", number + 1),
                item: line.to_owned(),
                text: summary.copied().collect::<Vec<_>>().join(" "),
            });
        }
        docs.clear();
        is_hidden = false;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint_of(text: &str) -> Option<&'static str> {
        let found = summaries_of("file.rs", text);
        assert_eq!(found.len(), 1);
        found[0].complaint()
    }

    #[test]
    fn a_summary_without_a_verb_is_found_behind_attributes_and_in_impls() {
        let getter =
            "    /// The address of the peer.\n    #[must_use = \"[it]\"]\n    pub fn f() {";
        let complaint = "does not begin with a verb in the third person";
        assert_eq!(complaint_of(getter), Some(complaint));
        let getter = getter.replace("The address", "Returns the address");
        assert_eq!(complaint_of(&getter), None);
    }

    #[test]
    fn a_summary_that_hides_its_subject_is_found() {
        let complaint = Some("begins with a word that hides its subject");
        for word in ["What", "As", "Whether", "So", "Who"] {
            let text = format!("/// {word} it is.\npub const X: u8 = 0;");
            assert_eq!(complaint_of(&text), complaint);
        }
        assert_eq!(complaint_of("/// A connection.\npub struct X;"), None);
        let verb = "/// Connects.\npub struct X;";
        assert_eq!(complaint_of(verb), Some("is not a noun phrase"));
    }

    #[test]
    fn only_the_first_line_of_documentation_needs_a_subject() {
        let text = "//! How it works.\n\n    /// What it is.\n/// Who.\n// What.\n/// A thing.\n";
        let expected = vec![(1, "//! How it works."), (3, "/// What it is.")];
        assert_eq!(hidden_subjects(text), expected);
    }

    #[test]
    fn hidden_and_private_items_are_left_alone() {
        let text = "/// What.\n#[doc(hidden)]\npub fn f() {}\n/// What.\npub(crate) fn g() {}";
        assert!(summaries_of("file.rs", text).is_empty());
    }
}
