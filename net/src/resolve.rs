//! The resolver of the current thread.
//!
//! A lookup blocks, because getaddrinfo(3) has no other mode, so it needs a thread of its own. This
//! crate has none; the runtime sets a [`Resolve`] for its thread.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::{fmt, io};

/// A resolver that looks up names without blocking the thread.
///
/// # Contract
/// `name` is `"host:port"`, never an address that can be parsed. The future yields the addresses in
/// the order in which they should be tried, each with the port; an empty list is allowed. It is
/// polled on any thread and may be dropped at any time. Its error is the plain one: the caller adds
/// the name. `resolve` may look up other names, or enter another resolver, but must not block.
///
/// # Examples
/// A resolver that knows a single name:
/// ```
/// use std::future::Future;
/// use std::io;
/// use std::net::SocketAddr;
/// use std::pin::Pin;
/// use std::rc::Rc;
/// use runtime_net::internal::{Resolve, enter_resolver};
/// use runtime_net::lookup_host;
///
/// struct Hosts;
///
/// impl Resolve for Hosts {
///     fn resolve(
///         &self,
///         name: String,
///     ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>> {
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
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>>;

    /// Returns true if a part of a file can be sent without waiting for a disk. True by default.
    fn is_in_memory(&self, file: BorrowedFd<'_>, range: Range<u64>) -> bool {
        let _ = (file, range);
        true
    }

    /// Runs a job that reads a file and may block. `None`, the default, means that the caller must
    /// block.
    fn read_blocking(&self, job: ReadJob) -> Option<BlockingRead> {
        let _ = job;
        None
    }
}

/// A job that reads a file.
pub type ReadJob = Box<dyn FnOnce() -> io::Result<Vec<u8>> + Send>;

/// The output of a job that reads a file.
pub type BlockingRead = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send + Sync>>;

/// A lookup that a [`Resolve`] has begun.
pub(crate) type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + Sync>>;

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Resolve>>> = const { RefCell::new(None) };
}

/// Returns true if a part of a file can be sent without waiting for a disk, or if there is no
/// runtime to ask.
pub(crate) fn is_in_memory(file: BorrowedFd<'_>, range: Range<u64>) -> bool {
    current().is_none_or(|resolver| resolver.is_in_memory(file, range))
}

/// Runs a job on another thread, if there is a runtime.
pub(crate) fn read_blocking(job: ReadJob) -> Option<BlockingRead> {
    current()?.read_blocking(job)
}

fn current() -> Option<Rc<dyn Resolve>> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    current.ok().flatten()
}

/// Begins to look up `name` with the resolver of this thread. The lookup does not hold the
/// resolver, so it may move to another thread.
pub(crate) fn begin(name: &str) -> io::Result<Lookup> {
    #[cfg(feature = "sim")]
    if let Some(found) = crate::sys::lookup::simulated(name) {
        return Ok(Box::pin(std::future::ready(Ok(found))));
    }
    match current() {
        Some(resolver) => Ok(resolver.resolve(name.to_owned())),
        None => Err(io::Error::other(
            "no runtime drives this thread, and looking up a name needs one: call it inside \
             #[runtime::main], Runtime::block_on or a spawned task",
        )),
    }
}

/// Makes `resolver` the current one of the calling thread until the guard is dropped.
///
/// Calls may be nested: the innermost resolver is used. Drop the guards in the reverse order.
///
/// # Examples
/// See [`Resolve`].
pub fn enter_resolver(resolver: Rc<dyn Resolve>) -> ResolverGuard {
    // While the thread is being torn down there is nothing to enter, and nothing to restore.
    let previous = CURRENT.try_with(|current| current.replace(Some(resolver)));
    let previous = previous.ok().flatten();
    ResolverGuard {
        previous,
        _not_send: PhantomData,
    }
}

/// A guard that restores the previous resolver of the thread: see [`enter_resolver`].
#[must_use = "dropping it restores the previous resolver"]
pub struct ResolverGuard {
    previous: Option<Rc<dyn Resolve>>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for ResolverGuard {
    fn drop(&mut self) {
        let previous = self.previous.take();
        let entered = CURRENT.try_with(|current| current.replace(previous));
        // Its destructor runs here, where nothing is borrowed.
        drop(entered);
    }
}

impl fmt::Debug for ResolverGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverGuard").finish_non_exhaustive()
    }
}

/// Looks up `name`, a `"host:port"`, and **blocks** the thread until it is resolved.
///
/// A [`Resolve`] calls it on a thread that may block.
///
/// # Errors
/// Returns the error of getaddrinfo(3), which has no kind of its own, and `InvalidInput` if the
/// name has no port.
///
/// # Platform-specific behavior
/// See [`lookup_host`](crate::lookup_host).
///
/// # Examples
/// ```
/// let found = runtime_net::internal::resolve_blocking("127.0.0.1:80")?;
/// assert_eq!(found, [([127, 0, 0, 1], 80).into()]);
/// # std::io::Result::Ok(())
/// ```
pub fn resolve_blocking(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(name.to_socket_addrs()?.collect())
}
