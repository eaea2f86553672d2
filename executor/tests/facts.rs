//! The types that are `Send` and `Sync`, and those that are not, checked by the compiler.

use std::rc::Rc;
use std::task::Waker;

use runtime_executor::{
    AbortHandle, AccessError, Builder, Config, EnterGuard, Executor, Handle, Id, JoinError,
    JoinHandle, JoinSet, PanicPolicy, ParkMode, TaskLocal, ThreadPark,
};

/// Picks a method only if the type is not what the marker says: an ambiguity otherwise.
macro_rules! assert_not {
    ($trait:ident: $($type:ty),+ $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn some_item() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Invalid;
            impl<T: ?Sized + $trait> Ambiguous<Invalid> for T {}
            let _ = <$type as Ambiguous<_>>::some_item;
        };
    )+};
}

const fn send<T: Send>() {}
const fn sync<T: Sync>() {}
const fn unpin<T: Unpin>() {}

macro_rules! assert_both {
    ($($type:ty),+ $(,)?) => {$(
        const _: () = { send::<$type>(); sync::<$type>() };
    )+};
}

assert_both!(
    Handle,
    AbortHandle,
    Waker,
    Id,
    JoinError,
    Config,
    PanicPolicy,
    ParkMode,
);
assert_both!(
    JoinHandle<u8>,
    JoinHandle<Vec<u8>>,
    JoinSet<u8>,
    ThreadPark,
    AccessError
);
// One thread at a time may take the output, so that it need not be Sync.
assert_both!(
    JoinHandle<std::cell::Cell<u8>>,
    JoinSet<std::cell::Cell<u8>>
);
assert_both!(TaskLocal<Rc<u8>>, Builder<'static>);

assert_not!(Send: Executor, EnterGuard, JoinHandle<Rc<u8>>, JoinSet<Rc<u8>>);
assert_not!(Sync: Executor, EnterGuard, JoinHandle<Rc<u8>>, JoinSet<Rc<u8>>);

struct Pinned(#[allow(dead_code, reason = "it is there for its type")] std::marker::PhantomPinned);
const _: () = unpin::<JoinHandle<Pinned>>();

#[test]
fn these_facts_compile() {}
