//! The attributes of `runtime`: [`main`](macro@main) and [`test`](macro@test).
//!
//! Use them through the roof, as `#[runtime::main]` and `#[runtime::test]`. Neither holds any
//! runtime code. Each keeps the function it is given, whole, and calls it from a plain one:
//!
//! ```text
//! async fn main() -> R { body }       fn main() -> R {
//!                                         async fn main() -> R { body }
//!                                         ::runtime::block_on(main())
//!                                     }
//! ```
//!
//! An `async` block would need its output type spelled out for `?` and `return` to infer; an
//! `async fn` has it in its signature, and the compiler's complaints point at the user's lines.

#![forbid(unsafe_code)]

mod parse;

use parse::{Arguments, Error, Function};
use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Runs an `async fn main` to its end on a runtime of this thread.
///
/// The function becomes a plain one that hands its body to `runtime::block_on`. Its attributes,
/// visibility and return type stay as written, and it may have any name. It takes no parameters.
///
/// # Arguments
///
/// `crate = "path"` says where to find the runtime when the dependency was renamed or is
/// re-exported by another crate. The default is `::runtime`. There are no others: there is one
/// flavour of runtime, and it has one thread.
///
/// # Panics
///
/// The function panics if the operating system refuses what a runtime is built of.
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

/// Makes a test of an `async fn`, run to its end on a runtime of its own.
///
/// The function becomes a plain one under `#[test]` that hands its body to `runtime::block_on`.
/// `#[should_panic]`, `#[ignore]` and every other attribute stay as written, and the test may
/// return what any test may: `()`, a `Result`, an `ExitCode`. It takes no parameters.
///
/// # Arguments
///
/// `crate = "path"`, as for [`main`](macro@main).
///
/// # Examples
///
/// ```
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

/// What the plain function is to be.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Main,
    Test,
}

/// What the attributes reject, each beside what they accept.
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
/// async fn another_flavour() {}
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[runtime::main(crate = "::runtime", crate = "::runtime")]
/// async fn twice() {}
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

/// Reports `error`. Where it costs the program its `main`, an empty one stands in, to spare the
/// reader a second error that says `main` is missing.
fn reject(error: Error, item: TokenStream) -> TokenStream {
    let mut output = error.into_compile_error();
    if parse::declares_main(item) {
        output.extend(tokens("fn main() {}"));
    }
    output
}

/// Two test attributes would run the test twice under one name.
fn reject_second_test_attribute(function: &Function) -> Result<(), Error> {
    match function.attributes.iter().find(|it| it.is_named("test")) {
        None => Ok(()),
        Some(second) => Err(Error::new(
            "this is a second test attribute: remove it, `#[runtime::test]` is enough",
            second.span(),
        )),
    }
}

/// Writes the plain function around the `async` one.
fn wrap(arguments: Arguments, function: Function, role: Role) -> TokenStream {
    let mut inside = TokenStream::new();
    inside.extend([TokenTree::from(function.asyncness)]);
    inside.extend(function.signature.iter().cloned());
    inside.extend([TokenTree::from(function.body)]);
    inside.extend(arguments.runtime);
    inside.extend(tokens("::block_on"));
    let call = [
        TokenTree::from(function.name),
        group(Delimiter::Parenthesis, TokenStream::new()),
    ];
    inside.extend([group(Delimiter::Parenthesis, call.into_iter().collect())]);

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

/// The tokens of `source`, which stands in this file and so is well formed.
fn tokens(source: &str) -> TokenStream {
    source.parse().expect("the text was written as Rust")
}
