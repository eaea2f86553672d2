//! The page: one document that contains its style and its script.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

/// Returns the page of a runtime and its content security policy.
///
/// The policy permits the style and the script of this response, by a number that others cannot
/// know, and requests to this server. It permits nothing else.
pub(crate) fn render(runtime: Option<&str>) -> (String, String) {
    let nonce = nonce();
    let html = format!(
        include_str!("page/page.html"),
        title = escape(runtime.unwrap_or("runtime")),
        nonce = nonce,
        style = include_str!("page/style.css"),
        script = include_str!("page/script.js"),
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    (html, policy)
}

/// Returns 128 bits in hexadecimal, made from the random keys that std's hash maps use.
fn nonce() -> String {
    let part = || RandomState::new().hash_one("nonce");
    format!("{:016x}{:016x}", part(), part())
}

/// Replaces the characters that have a meaning in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_in_the_page_and_each_response_has_its_own_nonce() {
        let (html, policy) = render(Some("</title><script>alert('&\"')</script>"));
        let escaped =
            "&#60;/title&#62;&#60;script&#62;alert(&#39;&#38;&#34;&#39;)&#60;/script&#62;";
        assert!(html.contains(&format!("<title>{escaped}")), "{html}");
        assert!(!html.contains("alert('"));
        let nonce = policy.split("script-src 'nonce-").nth(1).unwrap();
        let (nonce, _) = nonce.split_once('\'').unwrap();
        assert_eq!(nonce.len(), 32);
        assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
        assert_ne!(render(None).1, policy);
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let (html, _) = render(None);
        for forbidden in ["http:", "https:", "@import", "url(", "innerHTML", "src="] {
            let namespace = "http://www.w3.org/2000/svg";
            let rest = html.replace(namespace, "");
            assert!(!rest.contains(forbidden), "{forbidden}");
        }
    }
}
