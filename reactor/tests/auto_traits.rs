//! The types that are `Send` and `Sync`, and those that are not, checked by the compiler.

use std::net::TcpStream;
use std::rc::Rc;

use runtime_reactor::{
    Backend, Direction, EnterGuard, Interest, Notifier, Reactor, Readiness, Ready, Source, Stats,
    Timer,
};

/// `not!(T: Trait)` compiles only if `T` is not `Trait`: otherwise two impls answer to `check`.
macro_rules! not {
    ($type:ty: $bound:path) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn check() {}
            }
            struct Has;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $bound> Ambiguous<Has> for T {}
            let _ = <$type as Ambiguous<_>>::check;
        };
    };
}

not!(Reactor: Send);
not!(Reactor: Sync);
not!(Rc<Reactor>: Send);
not!(EnterGuard: Send);
not!(EnterGuard: Sync);
not!(Source<Rc<TcpStream>>: Send);
not!(Source<std::cell::Cell<i32>>: Sync);

#[test]
fn addresses_of_a_reactor_are_send_and_sync() {
    fn is<T: Send + Sync + Unpin + 'static>() {}
    is::<Source<TcpStream>>();
    is::<Ready<'static, TcpStream>>();
    is::<Timer>();
    is::<Notifier>();
    is::<(Stats, Readiness, Interest, Direction, Backend)>();
}
