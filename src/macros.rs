//! The macros `select!`, `join!` and `try_join!`.
//!
//! All three poll their branches inside the task that contains them: no allocation, no spawning, no
//! `Unpin` bound. A branch is a `Pin<&mut Option<F>>` on the stack of the enclosing `async` block.
//! Its future is dropped as soon as it completes; a branch that is `None` is no longer polled.
//!
//! A declarative macro cannot generate a sequence of names. Each step of the recursions below
//! writes the same name, `branch` or `output`, and macro hygiene makes it a different variable in
//! each step.

/// Waits for the first of several futures to complete, and runs the handler of its branch.
///
/// ```text
/// select! {
///     biased;                                               // optional
///     <pattern> = <future> (, if <condition>)? => <handler>,
///     ...
///     else => <handler>                                     // optional
/// }
/// ```
///
/// 1. All conditions are evaluated. A branch whose condition is false is disabled.
/// 2. All futures are created. That of a disabled branch is dropped without being polled.
/// 3. The futures are polled in this task, until one completes with a value that matches its
///    pattern. A value that does not match is dropped, and its branch is disabled.
/// 4. All futures are dropped, which ends their borrows.
/// 5. The handler runs with the names that the pattern binds. Its value is the value of `select!`.
///
/// If all branches are disabled, the handler of `else` runs.
///
/// All handlers have the same type. Handlers, conditions and the expressions of the futures belong
/// to the enclosing `async` block: `?`, `.await`, `break`, `continue` and `return` have the same
/// meaning as around the `select!`. A handler that is a block needs no comma after it.
///
/// To keep a future after another branch wins, pin it in a variable and pass `&mut future`.
///
/// # Fairness
///
/// Each poll begins with a random branch and continues in source order from there, so that a branch
/// that is always ready does not starve the others. With `biased;` each poll begins with the first
/// branch.
///
/// # Limits
///
/// The branches share one task and its thread: a branch that blocks stops the others. The default
/// `recursion_limit` of the compiler allows for about a hundred branches.
///
/// # Panics
///
/// Panics if all branches are disabled and there is no `else`.
///
/// # Cancel safety
///
/// The futures that do not win are dropped, whatever their state. In a loop, use only futures that
/// lose nothing when dropped, as their documentation says, or keep them and pass `&mut future`.
/// Dropping the future that contains the `select!` drops all branches.
///
/// # Examples
///
/// The first future to complete:
///
/// ```
/// use std::future::{pending, ready};
///
/// runtime::block_on(async {
///     let winner = runtime::select! {
///         number = ready(1) => number,
///         () = pending() => 2,
///     };
///     assert_eq!(winner, 1);
/// });
/// ```
///
/// A loop that ends when all branches are exhausted:
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
///
/// runtime::block_on(async {
///     let mut letters = vec!['b', 'a'];
///     let mut digits = vec!['2', '1'];
///     let mut seen = String::new();
///     loop {
///         runtime::select! {
///             Some(letter) = poll_fn(|_| Poll::Ready(letters.pop())) => seen.push(letter),
///             Some(digit) = poll_fn(|_| Poll::Ready(digits.pop())), if seen.len() < 10 => {
///                 digits.retain(|it| *it != digit); // the futures no longer borrow them
///                 seen.push(digit);
///             }
///             else => break,
///         }
///     }
///     assert_eq!(seen.len(), 4);
/// });
/// ```
///
/// A future that continues from one `select!` to the next:
///
/// ```
/// use std::future::{pending, ready};
/// use std::pin::pin;
///
/// runtime::block_on(async {
///     let mut work = pin!(async { "done" });
///     let mut ticks = 0;
///     let result = loop {
///         runtime::select! {
///             biased;
///             () = ready(()), if ticks < 3 => ticks += 1,
///             result = &mut work => break result,
///         }
///     };
///     assert_eq!((result, ticks), ("done", 3));
/// });
/// ```
#[macro_export]
macro_rules! select {
    () => {
        ::core::compile_error!("`select!` needs a branch: write `pattern = future => handler`")
    };
    (biased; $($branches:tt)+) => {
        $crate::__select!(@read in_order [] () $($branches)+)
    };
    ($($branches:tt)+) => {
        $crate::__select!(@read at_random [] () $($branches)+)
    };
}

/// Implements `select!`: each `@read` step parses one branch, and `@write` writes the expansion.
///
/// `select! { Some(x) = a, if on => f(x), () = b => g(), else => h() }` expands to
///
/// ```text
/// let (mut output1, mut output2) = {
///     let branch1 = on;
///     let branch2 = true;
///     let mut branch1 = pin!(branch1.then_some(a));
///     let mut branch2 = pin!(branch2.then_some(b));
///     poll_fn(|cx| ...).await         // at most one output is `Some`, and it matches
/// };                                  // the futures are dropped
/// if output1.is_some() {
///     let Some(Some(x)) = output1 else { unreachable!() };
///     f(x)
/// } else if output2.is_some() {
///     let Some(()) = output2 else { unreachable!() };
///     g()
/// } else {
///     h()
/// }
/// ```
///
/// The handlers are outside the closure of `poll_fn`, so that `break` and `.await` work in them. So
/// the pattern occurs twice: inside to test for a match, and outside to bind.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@read $order:ident $read:tt $outputs:tt else => $else:expr $(,)?) => {
        $crate::__select!(@write $order $read $outputs $else)
    };
    (@read $order:ident $read:tt $outputs:tt) => {
        $crate::__select!(@write $order $read $outputs $crate::__macro::all_disabled())
    };
    // A block needs no comma after it. It is matched before expressions, because a macro cannot
    // backtrack out of an expression.
    (@read $order:ident [$($read:tt)*] ($($outputs:tt)*)
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:block, $($rest:tt)*
    ) => {
        $crate::__select!(@read $order
            [$($read)* { branch output ($pattern) ($future) (true $(&& $condition)?) ($handler) }]
            ($($outputs)* output,)
            $($rest)*
        )
    };
    (@read $order:ident [$($read:tt)*] ($($outputs:tt)*)
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:block $($rest:tt)*
    ) => {
        $crate::__select!(@read $order
            [$($read)* { branch output ($pattern) ($future) (true $(&& $condition)?) ($handler) }]
            ($($outputs)* output,)
            $($rest)*
        )
    };
    (@read $order:ident [$($read:tt)*] ($($outputs:tt)*)
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__select!(@read $order
            [$($read)* { branch output ($pattern) ($future) (true $(&& $condition)?) ($handler) }]
            ($($outputs)* output,)
            $($($rest)*)?
        )
    };

    (@write $order:ident [] () $else:expr) => { $else };
    (@write $order:ident
        [$({
            $branch:ident $output:ident
            ($pattern:pat) ($future:expr) ($condition:expr) ($handler:expr)
        })+]
        $outputs:tt $else:expr
    ) => {{
        let ($(mut $output,)+) = {
            $(let $branch = $condition;)+
            $(let mut $branch = ::core::pin::pin!(
                $branch.then_some(::core::future::IntoFuture::into_future($future))
            );)+
            ::core::future::poll_fn(|cx| {
                $(let mut $output = ::core::option::Option::None;)+
                let mut pending = false;
                let mut order =
                    $crate::__macro::BranchOrder::$order([$(stringify!($branch)),+].len());
                'visit: while order.has_next() {
                    $(if order.is_next() {
                        match $crate::__macro::poll_branch($branch.as_mut(), cx) {
                            ::core::task::Poll::Pending => pending = true,
                            ::core::task::Poll::Ready(mut done) => {
                                // The guard records the match and then rejects it, so that nothing
                                // that the pattern binds is moved out of `done`.
                                let mut matches = false;
                                #[allow(unreachable_patterns, unused_mut, unused_variables)]
                                match done {
                                    ::core::option::Option::Some($pattern)
                                        if { matches = true; false } => ::core::unreachable!(),
                                    _ => {}
                                }
                                if matches {
                                    $output = done;
                                    pending = false;
                                    break 'visit;
                                }
                            }
                        }
                    })+
                }
                if pending {
                    ::core::task::Poll::Pending
                } else {
                    ::core::task::Poll::Ready(($($output,)+))
                }
            })
            .await
        };
        // Each arm consumes all outputs before its handler runs. The others are `None`, but for the
        // compiler they could still borrow what the handler changes. The `match` around the handler
        // drops its temporaries at the end of the arm in every edition.
        $(if $output.is_some() {
            #[allow(unreachable_patterns)]
            let ::core::option::Option::Some($pattern) = $output.take() else {
                ::core::unreachable!()
            };
            match $crate::__macro::discard($outputs) { () => $handler }
        } else)+ {
            match $crate::__macro::discard($outputs) { () => $else }
        }
    }};
}

/// Polls several futures concurrently in this task, and waits for all of them.
///
/// Returns the tuple of the outputs, in source order; without futures, `()`. Each future is dropped
/// when it completes. A `Result` is an ordinary output: to stop at the first error, use
/// [`try_join!`](crate::try_join).
///
/// Whenever the task is polled, all incomplete futures are polled in source order. A leading
/// `biased;`, which requests that order in other runtimes, is accepted.
///
/// # Panics
///
/// Panics if one of the futures does.
///
/// # Cancel safety
///
/// Dropping the future that contains the `join!` drops all branches, and the outputs of completed
/// ones.
///
/// # Examples
///
/// ```
/// runtime::block_on(async {
///     let name = async { "eth0" };
///     let speed = async { 10_000 };
///     assert_eq!(runtime::join!(name, speed), ("eth0", 10_000));
/// });
/// ```
#[macro_export]
macro_rules! join {
    ($(biased;)?) => { () };
    (biased; $($future:expr),+ $(,)?) => { $crate::join!($($future),+) };
    ($($future:expr),+ $(,)?) => { $crate::__join!(@name every [] $($future,)+) };
}

/// Polls several futures concurrently in this task, and waits for all of them or the first error.
///
/// Returns `Ok` with the tuple of the values, in source order, or the first `Err`, after which the
/// incomplete futures are dropped. All futures have the same error type.
///
/// Whenever the task is polled, all incomplete futures are polled in source order, up to the first
/// error. A leading `biased;`, which requests that order in other runtimes, is accepted.
///
/// # Panics
///
/// Panics if one of the futures does.
///
/// # Cancel safety
///
/// Dropping the future that contains the `try_join!` drops all branches, and the values of
/// completed ones. An error does the same, so it cancels the futures that are incomplete.
///
/// # Examples
///
/// ```
/// use std::num::ParseIntError;
///
/// async fn parse(text: &str) -> Result<u16, ParseIntError> {
///     text.parse()
/// }
///
/// # fn main() -> Result<(), ParseIntError> {
/// runtime::block_on(async {
///     let (from, to) = runtime::try_join!(parse("80"), parse("8080"))?;
///     assert_eq!((from, to), (80, 8080));
///     assert!(runtime::try_join!(parse("80"), parse("http")).is_err());
///     Ok(())
/// })
/// # }
/// ```
#[macro_export]
macro_rules! try_join {
    ($(biased;)?) => { ::core::result::Result::Ok(()) };
    (biased; $($future:expr),+ $(,)?) => { $crate::try_join!($($future),+) };
    ($($future:expr),+ $(,)?) => { $crate::__join!(@name fallible [] $($future,)+) };
}

/// Implements `join!` (kind `every`) and `try_join!` (kind `fallible`).
///
/// `join!(a, b)` expands to
///
/// ```text
/// let mut branch1 = pin!(Some(a));
/// let mut output1 = None;
/// let mut branch2 = pin!(Some(b));
/// let mut output2 = None;
/// poll_fn(|cx| ...).await             // polls until no branch is pending
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    (@name $kind:ident [$($named:tt)*] $future:expr, $($rest:tt)*) => {
        $crate::__join!(@name $kind [$($named)* { branch output ($future) }] $($rest)*)
    };
    (@name $kind:ident [$({ $branch:ident $output:ident ($future:expr) })+]) => {{
        $(
            let mut $branch = ::core::pin::pin!(::core::option::Option::Some(
                ::core::future::IntoFuture::into_future($future)
            ));
            let mut $output = ::core::option::Option::None;
        )+
        #[allow(unreachable_code)] // after an output of type `!`
        let joined = ::core::future::poll_fn(|cx| {
            let mut pending = false;
            $(match $crate::__macro::poll_branch($branch.as_mut(), cx) {
                ::core::task::Poll::Pending => pending = true,
                ::core::task::Poll::Ready(::core::option::Option::None) => {}
                ::core::task::Poll::Ready(::core::option::Option::Some(value)) => {
                    $crate::__join!(@keep $kind value $output);
                }
            })+
            if pending {
                return ::core::task::Poll::Pending;
            }
            let outputs = ($($crate::__macro::take_output(&mut $output),)+);
            ::core::task::Poll::Ready($crate::__join!(@value $kind outputs))
        });
        joined.await
    }};

    (@keep every $value:ident $output:ident) => {
        $output = ::core::option::Option::Some($value)
    };
    (@keep fallible $value:ident $output:ident) => {
        match $value {
            ::core::result::Result::Ok(value) => $output = ::core::option::Option::Some(value),
            ::core::result::Result::Err(error) => {
                return ::core::task::Poll::Ready(::core::result::Result::Err(error));
            }
        }
    };
    (@value every $outputs:ident) => { $outputs };
    (@value fallible $outputs:ident) => { ::core::result::Result::Ok($outputs) };
}
