//! Parses the arguments of the attributes and the function they are applied to.
//!
//! This is not a Rust parser. It splits a function where the expansion needs that, and leaves the
//! parts for the compiler to check.

use proc_macro::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree, token_stream};
use std::iter;

/// A problem with its remedy, and its location.
pub(crate) struct Error {
    message: String,
    span: Span,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>, span: Span) -> Self {
        let message = message.into();
        Self { message, span }
    }

    /// Returns `::core::compile_error! { "message" }`, with every token at the location of the
    /// error.
    pub(crate) fn into_compile_error(self) -> TokenStream {
        let message = TokenTree::from(Literal::string(&self.message));
        let path: TokenStream = "::core::compile_error!".parse().expect("a path");
        let body = Group::new(Delimiter::Brace, at(self.span, message.into()));
        at(
            self.span,
            path.into_iter().chain([TokenTree::from(body)]).collect(),
        )
    }
}

/// The arguments of an attribute.
pub(crate) struct Arguments {
    /// The path of the runtime crate.
    pub(crate) runtime: TokenStream,
    /// True if the runtime has tokio's context.
    pub(crate) tokio: bool,
    /// The calls of the builder's methods, such as `.seed(7)`.
    pub(crate) options: TokenStream,
}

impl Arguments {
    pub(crate) fn parse(arguments: TokenStream) -> Result<Self, Error> {
        let mut tokens = arguments.into_iter();
        let (mut runtime, mut tokio, mut paused) = (None, false, None);
        let (mut seed, mut options) = (None, TokenStream::new());
        while let Some(name) = tokens.next() {
            let span = name.span();
            match name.to_string().as_str() {
                "crate" if runtime.is_none() => runtime = Some(Self::path(&mut tokens, span)?),
                "tokio" if !tokio => tokio = true,
                "start_paused" if paused.is_none() => {
                    let value = Self::value(&mut tokens, span, "start_paused = true", |value| {
                        matches!(value, "true" | "false")
                    })?;
                    paused = (value.to_string() == "true").then_some(span);
                    options.extend(Self::call("start_paused", value, span));
                }
                "seed" if seed.is_none() => {
                    let is_number = |value: &str| value.starts_with(|it: char| it.is_ascii_digit());
                    let value = Self::value(&mut tokens, span, "seed = 7", is_number)?;
                    seed = Some(span);
                    options.extend(Self::call("seed", value, span));
                }
                name @ ("crate" | "tokio" | "start_paused" | "seed") => {
                    return Err(Error::new(
                        format!("`{name}` is given twice: remove one"),
                        span,
                    ));
                }
                "flavor" | "worker_threads" | "max_threads" => {
                    let why = "`runtime` has one flavor, with one thread";
                    return Err(Error::new(format!("{why}: remove `{name}`"), span));
                }
                _ => {
                    let known = "the arguments are `start_paused = true`, `seed = 7`, `tokio` and \
                                 `crate = \"path\"`";
                    return Err(Error::new(
                        format!("unknown argument `{name}`: {known}"),
                        span,
                    ));
                }
            }
            if let Some(after) = tokens.next() {
                if !is_punct(&after, ',') {
                    return Err(Error::new(
                        "expected a comma or the end of the arguments",
                        after.span(),
                    ));
                }
            }
        }
        if let (true, Some(span)) = (tokio, paused) {
            let why = "the clock of a runtime with tokio's context is tokio's";
            return Err(Error::new(format!("{why}: remove `start_paused`"), span));
        }
        let runtime = runtime.unwrap_or_else(|| "::runtime".parse().expect("a path"));
        Ok(Self {
            runtime,
            tokio,
            options,
        })
    }

    /// Parses the rest of an argument with a value after its name, which is at `name`.
    fn value(
        tokens: &mut token_stream::IntoIter,
        name: Span,
        example: &str,
        is_valid: impl Fn(&str) -> bool,
    ) -> Result<TokenTree, Error> {
        let usage = |span| Error::new(format!("write `{example}`"), span);
        match tokens.next() {
            Some(equals) if is_punct(&equals, '=') => {}
            other => return Err(usage(other.map_or(name, |it| it.span()))),
        }
        let value = tokens.next().ok_or_else(|| usage(name))?;
        if is_valid(&value.to_string()) {
            Ok(value)
        } else {
            Err(usage(value.span()))
        }
    }

    /// Writes `.method(value)`.
    fn call(method: &str, value: TokenTree, span: Span) -> TokenStream {
        let dot: TokenStream = ".".parse().expect("a dot");
        let arguments = Group::new(Delimiter::Parenthesis, value.into());
        let method = TokenTree::from(Ident::new(method, span));
        dot.into_iter()
            .chain([method, TokenTree::from(arguments)])
            .collect()
    }

    /// Parses the rest of `crate = "path"` after `crate`, which is at `name`.
    fn path(tokens: &mut token_stream::IntoIter, name: Span) -> Result<TokenStream, Error> {
        let usage = |span| Error::new("write `crate = \"path\"`, the path to `runtime`", span);
        match tokens.next() {
            Some(equals) if is_punct(&equals, '=') => {}
            other => return Err(usage(other.map_or(name, |it| it.span()))),
        }
        let literal = tokens.next().ok_or_else(|| usage(name))?;
        let span = literal.span();
        let text = literal.to_string();
        let path = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let is_path = |path: &&str| path.trim_start_matches("::").split("::").all(is_identifier);
        let path = path.filter(is_path).ok_or_else(|| usage(span))?;
        Ok(at(span, path.parse().map_err(|_| usage(span))?))
    }
}

/// The parts of an `async fn` without parameters.
///
/// ```text
/// #[ignore] pub(crate) async fn name() -> Result<(), Error> { .. }
/// attribute visibility       '---------- signature -------' body
/// ```
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Vec<TokenTree>,
    pub(crate) asyncness: Ident,
    /// The tokens from `fn` to before the body.
    pub(crate) signature: Vec<TokenTree>,
    pub(crate) name: Ident,
    pub(crate) body: Group,
}

impl Function {
    pub(crate) fn parse(item: TokenStream) -> Result<Self, Error> {
        let mut rest = ungroup(item).peekable();
        let attributes = iter::from_fn(|| {
            let pound = rest.next_if(|it| is_punct(it, '#'))?;
            Some(Attribute {
                tokens: iter::once(pound).chain(rest.next()).collect(),
            })
        })
        .collect();

        let mut visibility = Vec::new();
        let mut asyncness = None;
        let keyword = loop {
            let token = rest.next();
            let span = token.as_ref().map_or_else(Span::call_site, TokenTree::span);
            match token {
                Some(TokenTree::Ident(word)) => match word.to_string().as_str() {
                    "fn" => break word,
                    "async" => asyncness = Some(word),
                    "const" | "unsafe" | "extern" => {
                        let what = "a plain `async fn` is needed here";
                        return Err(Error::new(format!("{what}: remove `{word}`"), span));
                    }
                    _ => visibility.push(word.into()),
                },
                // The `(crate)` of a visibility.
                Some(restriction @ TokenTree::Group(_)) => visibility.push(restriction),
                _ => return Err(Error::new("this attribute goes on an `async fn`", span)),
            }
        };
        let Some(asyncness) = asyncness else {
            let what = "the function must be async: write `async fn`";
            return Err(Error::new(what, keyword.span()));
        };
        let Some(TokenTree::Ident(name)) = rest.next() else {
            return Err(Error::new("the function needs a name", keyword.span()));
        };
        let mut signature: Vec<TokenTree> = vec![keyword.into(), name.clone().into()];

        match rest.next() {
            Some(TokenTree::Group(parameters)) if parameters.stream().is_empty() => {
                signature.push(parameters.into());
            }
            Some(TokenTree::Group(parameters)) => {
                let what = "this function is called without arguments: remove its parameters";
                return Err(Error::new(what, parameters.span()));
            }
            other => {
                let span = other.map_or_else(|| name.span(), |it| it.span());
                let what = "this function cannot be generic: remove its type parameters";
                return Err(Error::new(what, span));
            }
        }

        signature.extend(rest);
        match signature.pop() {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => Ok(Self {
                attributes,
                visibility,
                asyncness,
                signature,
                name,
                body,
            }),
            _ => {
                let what = "the function has no body: write one, in `{ .. }`";
                Err(Error::new(what, name.span()))
            }
        }
    }
}

/// An attribute of the function, such as `#[ignore]`.
pub(crate) struct Attribute {
    /// The `#` and the brackets.
    pub(crate) tokens: Vec<TokenTree>,
}

impl Attribute {
    /// Returns true if the last segment of its path is `name`: `#[test]` and `#[tokio::test]` are
    /// both named `test`, `#[cfg(test)]` is named `cfg`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let Some(TokenTree::Group(brackets)) = self.tokens.last() else {
            return false;
        };
        let path = ungroup(brackets.stream())
            .take_while(|it| matches!(it, TokenTree::Ident(_)) || is_punct(it, ':'));
        path.last().is_some_and(|it| it.to_string() == name)
    }

    pub(crate) fn span(&self) -> Span {
        self.tokens
            .last()
            .map_or_else(Span::call_site, TokenTree::span)
    }
}

/// Returns true if `item`, well formed or not, is a function named `main`.
pub(crate) fn declares_main(item: TokenStream) -> bool {
    let mut after_fn = ungroup(item)
        .skip_while(|it| it.to_string() != "fn")
        .skip(1);
    after_fn.next().is_some_and(|it| it.to_string() == "main")
}

/// Returns the tokens of `stream`, without the invisible groups that `macro_rules!` puts around a
/// `$vis`, a `$meta` or a `$block`.
fn ungroup(stream: TokenStream) -> Box<dyn Iterator<Item = TokenTree>> {
    Box::new(stream.into_iter().flat_map(|token| match token {
        TokenTree::Group(it) if it.delimiter() == Delimiter::None => ungroup(it.stream()),
        token => Box::new(iter::once(token)),
    }))
}

fn is_punct(token: &TokenTree, symbol: char) -> bool {
    matches!(token, TokenTree::Punct(it) if it.as_char() == symbol)
}

fn is_identifier(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with(|it: char| it.is_ascii_digit())
        && word.chars().all(|it| it.is_alphanumeric() || it == '_')
}

/// Returns `tokens`, each moved to `span`.
fn at(span: Span, tokens: TokenStream) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}
