//! The attributes [`main`](macro@main) and [`test`](macro@test) of `runtime`.
//!
//! They are used as `#[runtime::main]` and `#[runtime::test]`, and contain no runtime code. Each
//! keeps the function it is applied to, and calls it from an ordinary function around it:
//!
//! ```text
//! async fn main() -> R { body }       fn main() -> R {
//!                                         async fn main() -> R { body }
//!                                         ::runtime::block_on(main())
//!                                     }
//! ```
//!
//! An `async` block instead of the inner function would not determine its output type for `?` and
//! `return`. The signature of the function does, and compiler errors refer to the user's lines.

#![forbid(unsafe_code)]

mod parse;

use parse::{Arguments, Error, Function};
use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Turns an `async fn` into a program's `main`, which runs it to completion on a new runtime.
///
/// The function becomes an ordinary one that passes its body to `runtime::block_on`. Attributes,
/// visibility and return type are unchanged, and the function may have any name. It takes no
/// parameters.
///
/// # Arguments
///
/// `crate = "path"` sets the path of the runtime crate, for a renamed dependency or a re-export.
/// Default `::runtime`.
///
/// `tokio` gives the runtime tokio's context, so that libraries that expect tokio work in its
/// tasks. It needs the feature `tokio` of the runtime crate; see `compat::tokio` there.
///
/// `start_paused = true` pauses the clock from the beginning, and `seed = 7` decides the order of
/// the tasks, as the methods of the same names of the builder do.
///
/// There are no other arguments: the runtime has one flavor, with one thread.
///
/// # Panics
///
/// The function panics if no runtime can be created, and in the cases that `runtime::block_on`
/// lists.
///
/// # Examples
///
/// ```
/// #[runtime::main]
/// async fn main() -> Result<(), std::num::ParseIntError> {
///     let port: u16 = "8080".parse()?;
///     assert_eq!(port, 8080);
///     Ok(())
/// }
/// ```
///
/// With the runtime under another name:
///
/// ```
/// extern crate runtime as rt;
///
/// #[rt::main(crate = "rt")]
/// async fn main() {}
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, Role::Main)
}

/// Turns an `async fn` into a test, which runs it to completion on a new runtime.
///
/// The function becomes an ordinary one with the attribute `#[test]` that passes its body to
/// `runtime::block_on`. Other attributes, such as `#[should_panic]` and `#[ignore]`, are unchanged.
/// The test may return what any test may: `()`, a `Result`, an `ExitCode`. It takes no parameters.
///
/// # Arguments
///
/// They are those of [`main`](macro@main): `start_paused = true` pauses the clock, `seed = 7`
/// decides the order of the tasks, `tokio` gives the runtime tokio's context, and `crate = "path"`
/// sets the path of the runtime crate. If a test with a seed panics, the seed is written to
/// standard error. The environment variable `RUNTIME_SEED` replaces it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[runtime::test(start_paused = true, seed = 7)]
/// async fn an_hour_takes_no_time() {
///     runtime::time::sleep(Duration::from_secs(3600)).await;
/// }
///
/// #[runtime::test]
/// async fn two_and_two_are_four() {
///     assert_eq!(std::future::ready(2).await + 2, 4);
/// }
///
/// #[runtime::test]
/// #[should_panic(expected = "divide by zero")]
/// async fn nothing_divides_by_zero() {
///     let zero = std::future::ready(0).await;
///     let _ = 1 / zero;
/// }
/// ```
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, Role::Test)
}

/// The role of the function that an attribute creates.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Main,
    Test,
}

/// Inputs that the attributes reject, after one that they accept.
///
/// ```
/// #[runtime::main(crate = "::runtime")]
/// pub async fn plain() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main]
/// fn not_async() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main]
/// async fn parameters(_: u8) {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main]
/// async fn generic<T>() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main]
/// async unsafe fn not_safe() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// trait Start {
///     #[runtime::main]
///     async fn no_body();
/// }
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main]
/// struct NoFunction;
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(flavor = "multi_thread")]
/// async fn another_flavor() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(crate = "::runtime", crate = "::runtime")]
/// async fn twice() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(tokio, tokio)]
/// async fn twice() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(tokio = true)]
/// async fn no_value() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(start_paused)]
/// async fn without_a_value() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(start_paused = 1)]
/// async fn another_value() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(seed = "seven")]
/// async fn no_number() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(seed = 1, seed = 2)]
/// async fn two_seeds() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(crate = "1 + 1")]
/// async fn not_a_path() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::test]
/// #[test]
/// async fn second_attribute() {}
/// # fn main() {}
/// ```
#[cfg(doctest)]
struct RejectedInputs;

fn expand(arguments: TokenStream, item: TokenStream, role: Role) -> TokenStream {
    let expansion = Arguments::parse(arguments).and_then(|arguments| {
        let function = Function::parse(item.clone())?;
        if role == Role::Test {
            reject_second_test_attribute(&function)?;
        }
        Ok(wrap(arguments, function, role))
    });
    expansion.unwrap_or_else(|error| reject(error, item))
}

/// Expands to the compiler error, and to an empty `main` if the item was one, so that the compiler
/// does not report a missing `main` as well.
fn reject(error: Error, item: TokenStream) -> TokenStream {
    let mut output = error.into_compile_error();
    if parse::declares_main(item) {
        output.extend(tokens("fn main() {}"));
    }
    output
}

/// Rejects a second test attribute, which would run the test twice under one name.
fn reject_second_test_attribute(function: &Function) -> Result<(), Error> {
    match function.attributes.iter().find(|it| it.is_named("test")) {
        None => Ok(()),
        Some(second) => Err(Error::new(
            "this is a second test attribute: remove it, `#[runtime::test]` is enough",
            second.span(),
        )),
    }
}

/// Writes the ordinary function around the `async` one.
fn wrap(arguments: Arguments, function: Function, role: Role) -> TokenStream {
    let mut inside = TokenStream::new();
    inside.extend([TokenTree::from(function.asyncness)]);
    inside.extend(function.signature.iter().cloned());
    inside.extend([TokenTree::from(function.body)]);
    inside.extend(arguments.runtime.clone());
    let has_options = !arguments.options.is_empty();
    inside.extend(tokens(match (arguments.tokio, has_options) {
        (true, _) => "::__macro::block_on_tokio",
        (false, true) => "::__macro::block_on_with",
        (false, false) => "::block_on",
    }));
    let mut call = TokenStream::new();
    if arguments.tokio || has_options {
        call.extend(arguments.runtime);
        call.extend(tokens("::Runtime::builder()"));
        call.extend(arguments.options);
        call.extend(tokens(","));
    }
    call.extend([
        TokenTree::from(function.name),
        group(Delimiter::Parenthesis, TokenStream::new()),
    ]);
    inside.extend([group(Delimiter::Parenthesis, call)]);

    let mut outside = TokenStream::new();
    if role == Role::Test {
        outside.extend(tokens("#[::core::prelude::v1::test]"));
    }
    outside.extend(function.attributes.into_iter().flat_map(|it| it.tokens));
    outside.extend(function.visibility);
    outside.extend(function.signature);
    outside.extend([group(Delimiter::Brace, inside)]);
    outside
}

fn group(delimiter: Delimiter, content: TokenStream) -> TokenTree {
    Group::new(delimiter, content).into()
}

/// Parses `source`, which is a literal of this crate and therefore well formed.
fn tokens(source: &str) -> TokenStream {
    source.parse().expect("the literal is valid Rust")
}
