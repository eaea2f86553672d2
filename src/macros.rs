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
/// Each branch is an `Option`, so that its future is dropped as soon as it completes or if it is
/// disabled. An `async` block, like most futures, has a spare value for `None`. A future without
/// one makes the `select!` larger by the alignment of the future, usually 8 bytes.
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
        $crate::__select!(@read in_order [] [] () () $($branches)+)
    };
    ($($branches:tt)+) => {
        $crate::__select!(@read at_random [] [] () () $($branches)+)
    };
}

/// Implements `select!`: each `@read` step parses one branch, and `@write` writes the expansion.
///
/// `select! { Some(x) = a, if on => f(x), () = b => g(), else => h() }` expands to
///
/// ```text
/// let output = {
///     let output1 = on;
///     let output2 = true;
///     let branch1 = a;
///     let branch2 = b;
///     let branches = Branches::new(output2.then_some(branch2), ());
///     let branches = Branches::new(output1.then_some(branch1), branches);
///     let mut branches = pin!(branches);
///     poll_fn(move |cx| ...).await    // polls each branch once; at most one output is `Some`
/// };                                  // the futures are dropped
/// if let (Some(_), ..) = output {
///     let (output1, output2) = output;
///     let value = output1;
///     drop(output2);
///     let Some(Some(x)) = value else { unreachable!() };
///     f(x)
/// } else if let (_, Some(_), ..) = output {
///     ...
///     let Some(()) = value else { unreachable!() };
///     g()
/// } else {
///     h()
/// }
/// ```
///
/// The handlers are outside the closure of `poll_fn`, so that `break` and `.await` work in them. So
/// the pattern occurs twice: inside to test for a match, and outside to bind.
///
/// One pinned chain of all futures keeps the future of a `select!` small: it holds one reference
/// beside the futures. A list of the branches in reverse order is carried along because the chain
/// is built from its end.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@read $order:ident $read:tt $reversed:tt $skipped:tt $outputs:tt else => $else:expr $(,)?) => {
        $crate::__select!(@write $order $read $reversed $outputs $else)
    };
    (@read $order:ident $read:tt $reversed:tt $skipped:tt $outputs:tt) => {
        $crate::__select!(@write $order $read $reversed $outputs $crate::__macro::all_disabled())
    };
    // A block needs no comma after it. It is matched before expressions, because a macro cannot
    // backtrack out of an expression.
    (@read $order:ident [$($read:tt)*] [$($reversed:tt)*] ($($skipped:tt)*) ($($outputs:tt)*)
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:block, $($rest:tt)*
    ) => {
        $crate::__select!(@read $order
            [$($read)* {
                branch output ($($skipped)*)
                ($pattern) ($future) (true $(&& $condition)?) ($handler)
            }]
            [(branch output) $($reversed)*]
            ($($skipped)* _,) ($($outputs)* output,)
            $($rest)*
        )
    };
    (@read $order:ident [$($read:tt)*] [$($reversed:tt)*] ($($skipped:tt)*) ($($outputs:tt)*)
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:block $($rest:tt)*
    ) => {
        $crate::__select!(@read $order
            [$($read)* {
                branch output ($($skipped)*)
                ($pattern) ($future) (true $(&& $condition)?) ($handler)
            }]
            [(branch output) $($reversed)*]
            ($($skipped)* _,) ($($outputs)* output,)
            $($rest)*
        )
    };
    (@read $order:ident [$($read:tt)*] [$($reversed:tt)*] ($($skipped:tt)*) ($($outputs:tt)*)
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__select!(@read $order
            [$($read)* {
                branch output ($($skipped)*)
                ($pattern) ($future) (true $(&& $condition)?) ($handler)
            }]
            [(branch output) $($reversed)*]
            ($($skipped)* _,) ($($outputs)* output,)
            $($($rest)*)?
        )
    };

    (@write $order:ident [] [] () $else:expr) => { $else };
    (@write $order:ident
        [$({
            $branch:ident $output:ident ($($skipped:tt)*)
            ($pattern:pat) ($future:expr) ($condition:expr) ($handler:expr)
        })+]
        [$(($last_branch:ident $last_output:ident))+]
        $outputs:tt $else:expr
    ) => {{
        let output = {
            $(let $output = $condition;)+
            // A `let` of its own keeps the temporaries that a future borrows.
            $(let $branch = $future;)+
            let branches = ();
            $(let branches = $crate::__macro::Branches::new(
                $last_output.then_some(::core::future::IntoFuture::into_future($last_branch)),
                branches,
            );)+
            let mut branches = ::core::pin::pin!(branches);
            #[allow(unreachable_code)] // after an output of type `!`
            let first = ::core::future::poll_fn(move |cx| {
                let rest = branches.as_mut();
                $(let (mut $branch, rest) = rest.split();)+
                let () = *rest;
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
                    ::core::task::Poll::Ready($outputs)
                }
            });
            first.await
        };
        // Each arm consumes all outputs before its handler runs. The others are `None`, but for the
        // compiler they could still borrow what the handler changes. They are moved as a whole and
        // never borrowed, so that they take no room while the handler awaits. The `match` around
        // the handler drops its temporaries at the end of the arm in every edition.
        $(if let ($($skipped)* ::core::option::Option::Some(_), ..) = output {
            let $outputs = $crate::__macro::identity(output);
            let value = $output;
            let $output = ();
            $crate::__macro::discard($outputs);
            #[allow(unreachable_patterns)]
            let ::core::option::Option::Some($pattern) = $crate::__macro::identity(value) else {
                ::core::unreachable!()
            };
            match () { () => $handler }
        } else)+ {
            match $crate::__macro::discard(output) { () => $else }
        }
    }};
}

/// Polls several futures concurrently in this task, and waits for all of them.
///
/// Returns the tuple of the outputs, in source order; without futures, `()`. Each future is dropped
/// when it completes. A `Result` is an ordinary output: to stop at the first error, use
/// [`try_join!`](crate::try_join).
///
/// # Fairness
///
/// Whenever the task wakes, every future that has not completed is polled. The future that is
/// polled first changes from one poll to the next, so that none always goes before the others. With
/// `biased;` in front each poll goes from first to last.
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
    (biased; $($future:expr),+ $(,)?) => {
        $crate::__join!(@read every in_order [] [] $($future,)+)
    };
    ($($future:expr),+ $(,)?) => { $crate::__join!(@read every rotating [] [] $($future,)+) };
}

/// Polls several futures concurrently in this task, and waits for all of them or the first error.
///
/// Returns `Ok` with the tuple of the values, in source order, or the first `Err`, after which the
/// incomplete futures are dropped. All futures have the same error type.
///
/// # Fairness
///
/// Whenever the task wakes, every future that has not completed is polled, up to the first error.
/// The future that is polled first changes from one poll to the next, so that none always goes
/// before the others. With `biased;` in front each poll goes from first to last.
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
    (biased; $($future:expr),+ $(,)?) => {
        $crate::__join!(@read fallible in_order [] [] $($future,)+)
    };
    ($($future:expr),+ $(,)?) => {
        $crate::__join!(@read fallible rotating [] [] $($future,)+)
    };
}

/// Implements `join!` (kind `every`) and `try_join!` (kind `fallible`).
///
/// `join!(a, b)` expands to
///
/// ```text
/// let branch1 = a;
/// let branch2 = b;
/// let branches = Branches::new(MaybeDone::new(branch2), ());
/// let branches = Branches::new(MaybeDone::new(branch1), branches);
/// let mut branches = pin!(branches);
/// let mut orders = Orders::rotating();
/// poll_fn(move |cx| ...).await        // polls all until none is pending; takes the outputs
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    (@read $kind:ident $order:ident [$($read:tt)*] [$($reversed:tt)*]
        $future:expr, $($rest:tt)*
    ) => {
        $crate::__join!(@read $kind $order
            [$($read)* { branch ($future) }] [branch $($reversed)*] $($rest)*
        )
    };
    (@read $kind:ident $order:ident
        [$({ $branch:ident ($future:expr) })+] [$($last_branch:ident)+]
    ) => {{
        $(let $branch = $future;)+
        let branches = ();
        $(let branches = $crate::__macro::Branches::new(
            $crate::__macro::MaybeDone::new(::core::future::IntoFuture::into_future($last_branch)),
            branches,
        );)+
        let mut branches = ::core::pin::pin!(branches);
        let mut orders = $crate::__macro::Orders::$order();
        #[allow(unreachable_code)] // after an output of type `!`
        let joined = ::core::future::poll_fn(move |cx| {
            let rest = branches.as_mut();
            $(let (mut $branch, rest) = rest.split();)+
            let () = *rest;
            let mut pending = false;
            let mut order = orders.next([$(stringify!($branch)),+].len());
            while order.has_next() {
                $(if order.is_next() {
                    pending |= $branch.as_mut().poll(cx).is_pending();
                    $crate::__join!(@check $kind $branch);
                })+
            }
            if pending {
                return ::core::task::Poll::Pending;
            }
            $crate::__join!(@outputs $kind $($branch)+)
        });
        joined.await
    }};

    (@check every $branch:ident) => {};
    (@check fallible $branch:ident) => {
        if let ::core::option::Option::Some(error) = $branch.as_mut().take_error() {
            return ::core::task::Poll::Ready(::core::result::Result::Err(error));
        }
    };
    (@outputs every $($branch:ident)+) => {
        ::core::task::Poll::Ready(($($branch.take_output(),)+))
    };
    (@outputs fallible $($branch:ident)+) => {
        ::core::task::Poll::Ready(::core::result::Result::Ok(($($branch.take_success(),)+)))
    };
}
