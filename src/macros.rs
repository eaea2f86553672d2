//! The combinators `select!`, `join!` and `try_join!`.
//!
//! All three run their branches inside the task that writes them: no allocation, no spawning, no
//! `Unpin`. A branch is a `Pin<&mut Option<F>>` on the stack of the enclosing `async` block, whose
//! future is dropped as soon as it completes; `None` is a branch that is not polled any more.
//!
//! A macro cannot count names out of thin air. Each step of the recursions below therefore writes
//! the same name, `branch` or `output`, and hygiene makes another variable of it at every step.

/// Waits for the first of several branches, and runs its handler.
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
/// 1. Every condition is evaluated; a branch whose condition is false is disabled.
/// 2. Every future is made; that of a disabled branch is dropped without a poll.
/// 3. The futures are polled in this task, until one completes with a value that its pattern
///    matches. A value that does not match is dropped, and disables its branch.
/// 4. All futures are dropped, and what they borrowed is free again.
/// 5. The handler runs, with the names which the pattern bound. Its value is that of the `select!`.
///
/// If all branches get disabled, the handler of `else` runs.
///
/// All handlers have the same type. They, and the expressions for conditions and futures, stand
/// in the enclosing `async` block: `?`, `.await`, `break`, `continue` and `return` mean there what
/// they mean around the `select!`. A handler that is a block needs no comma after it.
///
/// To let a future outlive the `select!` when another branch wins, keep it in a variable, pinned,
/// and hand in `&mut future`.
///
/// # Fairness
///
/// Each poll begins with a branch chosen at random and goes round from there, so that a branch
/// which is always ready starves no other. With `biased;` each poll goes from top to bottom; the
/// order is then the author's to choose well.
///
/// # Limits
///
/// The branches share one task and its thread: one that blocks holds up the others. About a
/// hundred branches fit the compiler's default `recursion_limit`.
///
/// # Panics
///
/// Panics if all branches are disabled and there is no `else`.
///
/// # Cancel safety
///
/// The futures that do not win are dropped wherever they are. In a loop, use only such as lose
/// nothing by it, which their own documentation says, or keep them and pass `&mut future`.
/// Dropping the `select!` itself drops them all.
///
/// # Examples
///
/// The first to finish:
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
/// A loop that ends when every branch has run dry:
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
///                 digits.retain(|it| *it != digit); // no future borrows them any more
///                 seen.push(digit);
///             }
///             else => break,
///         }
///     }
///     assert_eq!(seen.len(), 4);
/// });
/// ```
///
/// A future that goes on from one `select!` to the next:
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

/// The steps of `select!`: `@read` takes one branch a step off the source, `@write` writes it all.
///
/// `select! { Some(x) = a, if on => f(x), () = b => g(), else => h() }` comes out as
///
/// ```text
/// let (mut output1, mut output2) = {
///     let branch1 = on;
///     let branch2 = true;
///     let mut branch1 = pin!(branch1.then_some(a));
///     let mut branch2 = pin!(branch2.then_some(b));
///     poll_fn(|cx| ...).await         // polls each branch once; at most one output is `Some`, and matches
/// };                                  // the futures are gone
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
/// The handlers stand outside the closure of `poll_fn`, for `break` and `.await` to work. So the
/// pattern is written twice: inside, to see whether it matches, and outside, to bind.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@read $order:ident $read:tt $outputs:tt else => $else:expr $(,)?) => {
        $crate::__select!(@write $order $read $outputs $else)
    };
    (@read $order:ident $read:tt $outputs:tt) => {
        $crate::__select!(@write $order $read $outputs $crate::__macro::all_disabled())
    };
    // A block may stand without a comma. Were it tried as an expression first, there would be no
    // way back.
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
                                // The guard notes the match and declines it, before anything
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
        // An arm gives up every output before its handler runs. None but its own is there, yet to
        // the compiler they could still borrow what the handler wants to change. That the handler
        // stands in a `match` ends its temporaries with it, in every edition.
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

/// Runs several futures at once in this task, and waits for all of them.
///
/// The value is the tuple of the outputs, in the order written; of no futures, it is `()`. Each
/// future is dropped when it completes. A `Result` is an output like any other: to stop at the
/// first error, use [`try_join!`](crate::try_join).
///
/// Whenever the task wakes, every future that has not completed is polled, from first to last. A
/// leading `biased;`, by which other runtimes ask for that order, is accepted.
///
/// # Panics
///
/// Panics if one of the futures does.
///
/// # Cancel safety
///
/// Dropping the `join!` drops all futures, and the outputs of those that had completed.
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

/// Runs several futures at once in this task, and waits for all of them or for the first error.
///
/// The value is `Ok` with the tuple of what the futures gave in their `Ok`, in the order written,
/// or the first `Err`, at which the futures that have not completed are dropped. All errors are of
/// one type.
///
/// Whenever the task wakes, every future that has not completed is polled, from first to last,
/// up to the first error. A leading `biased;`, by which other runtimes ask for that order, is
/// accepted.
///
/// # Panics
///
/// Panics if one of the futures does.
///
/// # Cancel safety
///
/// Dropping the `try_join!` drops all futures, and the outputs of those that had completed. So
/// does an error, which comes as a cancellation to the futures that were still running.
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

/// The steps of `join!`, whose branches are `every`, and of `try_join!`, whose are `fallible`.
///
/// `join!(a, b)` comes out as
///
/// ```text
/// let mut branch1 = pin!(Some(a));
/// let mut output1 = None;
/// let mut branch2 = pin!(Some(b));
/// let mut output2 = None;
/// poll_fn(|cx| ...).await             // polls all until none is pending; puts outputs away
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
