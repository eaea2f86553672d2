//! Who looks up names for the sockets of this thread.
//!
//! A lookup blocks (getaddrinfo(3) has no other way), so it needs a thread, and this crate has
//! none. Whoever has, the runtime, lends a [`Resolve`] to its own thread.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::rc::Rc;
use std::{fmt, io};

/// Looks up names without blocking the thread.
///
/// # Contract
/// `name` is `"host:port"`, never an address that can be read without asking anybody. The future
/// yields the addresses in the order in which they should be tried, each with the port; none at
/// all is allowed. It is polled on any thread, may be dropped at any time, and an abandoned lookup
/// must harm nobody. Its error is the plain one: the caller adds which name it was. `resolve` may
/// look up other names, or enter another resolver, but must not block.
///
/// # Examples
/// One that knows a single name:
/// ```
/// use std::future::Future;
/// use std::io;
/// use std::net::SocketAddr;
/// use std::pin::Pin;
/// use std::rc::Rc;
/// use runtime::net::{Resolve, enter_resolver, lookup_host};
///
/// struct Hosts;
///
/// impl Resolve for Hosts {
///     fn resolve(
///         &self,
///         name: String,
///     ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
///         Box::pin(async move {
///             match &*name {
///                 "db.test:5432" => Ok(vec![([10, 0, 0, 7], 5432).into()]),
///                 _ => Err(io::ErrorKind::NotFound.into()),
///             }
///         })
///     }
/// }
///
/// # runtime::block_on(async {
/// let _entered = enter_resolver(Rc::new(Hosts));
/// let found: Vec<_> = lookup_host("db.test:5432").await?.collect();
/// assert_eq!(found, [([10, 0, 0, 7], 5432).into()]);
/// let error = lookup_host("cache.test:6379").await.unwrap_err();
/// assert!(error.to_string().starts_with("look up cache.test:6379: "));
/// # io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait Resolve {
    /// Begins to look up `name`, a `"host:port"`.
    fn resolve(
        &self,
        name: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
}

/// What a [`Resolve`] gives back.
pub(crate) type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Resolve>>> = const { RefCell::new(None) };
}

/// Begins to look up `name` with the resolver of this thread. What is returned does not hold that
/// resolver, so it may go to another thread.
pub(crate) fn begin(name: &str) -> io::Result<Lookup> {
    let resolver = CURRENT.try_with(|current| current.borrow().clone());
    match resolver.ok().flatten() {
        Some(resolver) => Ok(resolver.resolve(name.to_owned())),
        None => Err(io::Error::other(
            "no runtime drives this thread, and a name has to be asked for: call it inside \
             #[runtime::main], Runtime::block_on or a spawned task",
        )),
    }
}

/// Makes `resolver` the one of the calling thread until the guard is dropped. Entered again, the inner
/// one answers; guards are dropped in the reverse order.
///
/// # Examples
/// See [`Resolve`].
pub fn enter_resolver(resolver: Rc<dyn Resolve>) -> ResolverEntered {
    // Nothing to enter, and nothing to come back to, while the thread is being torn down.
    let before = CURRENT.try_with(|current| current.replace(Some(resolver)));
    let before = before.ok().flatten();
    ResolverEntered {
        before,
        _not_send: PhantomData,
    }
}

/// While it lives, names are looked up by the resolver that was [entered](enter_resolver). Dropping
/// it restores what was there before.
#[must_use = "the resolver is left when this is dropped"]
pub struct ResolverEntered {
    before: Option<Rc<dyn Resolve>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for ResolverEntered {
    fn drop(&mut self) {
        let before = self.before.take();
        let entered = CURRENT.try_with(|current| current.replace(before));
        // Its destructor runs here, where nothing is borrowed.
        drop(entered);
    }
}

impl fmt::Debug for ResolverEntered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverEntered").finish_non_exhaustive()
    }
}

/// Looks up `name`, a `"host:port"`, and **blocks** until the answer is there: what a [`Resolve`]
/// calls on a thread that has nothing else to do.
///
/// # Errors
/// What getaddrinfo(3) says, which has no kind of its own; `InvalidInput` for a name without a
/// port.
///
/// # Platform notes
/// As [`lookup_host`](crate::lookup_host).
///
/// # Examples
/// ```
/// let found = runtime::net::resolve_blocking("127.0.0.1:80")?;
/// assert_eq!(found, [([127, 0, 0, 1], 80).into()]);
/// # std::io::Result::Ok(())
/// ```
pub fn resolve_blocking(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(name.to_socket_addrs()?.collect())
}
