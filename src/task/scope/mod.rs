//! Children that borrow: futures that are polled inside the future that spawns them.
//!
//! Everything here is safe code. The children are in the future of the scope, which borrows what
//! they borrow. So the compiler checks the borrows, and forgetting that future forgets the
//! children: none of them can run without it.

mod children;
mod handle;
mod live;
mod try_scope;

use std::fmt;
use std::future::{Future, Pending, pending, poll_fn};
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use children::Children;
use handle::Output;

pub use handle::ScopedJoinHandle;
pub(crate) use live::live_scopes;
pub use try_scope::{TryScope, try_scope};

/// Runs an async closure that can spawn children, which may borrow what was declared before the
/// scope. Returns the output of the closure, the *body*, once it and all children are complete.
///
/// A child is a future that is polled by the task that polls the scope. So it needs neither
/// `'static` nor `Send`, and the scope works in every executor. Each child, and the body, has a
/// waker of its own: a wake polls that child alone.
///
/// The body is written `async |s| { .. }`. It and its children may spawn, and await the
/// [handles](ScopedJoinHandle) of other children. What children borrow is declared before the
/// scope: the local variables of the body do not live long enough, because a child may outlive the
/// body. An `async move` block moves such a variable into the child.
///
/// # Errors, cancellation and early returns
/// * [`try_scope`] is ended by the first error of a child.
/// * [`Scope::exit`] ends the scope with a value, from the body and from children.
/// * `return` in the body does not end the scope: the children are awaited first.
/// * A single child that can be canceled awaits its work in [`select!`](crate::select!), beside a
///   [`CancellationToken`](super::CancellationToken).
///
/// A scope that ends early drops its body and then its children, in the order in which they were
/// spawned.
///
/// # Tasks
/// Children are not tasks. [`task::id`](super::id) and task-local values in a child are those of
/// the task that awaits the scope, and a list of tasks shows the scope as one wait of that task. A
/// child that does not yield keeps its siblings waiting. A task that a child spawns with
/// [`runtime::spawn`](crate::spawn) is independent: it cannot borrow, and runs on after the scope.
///
/// # Fairness
/// A poll of the scope polls each child once at most, in the order of their wakes, then lets other
/// tasks run. Each of these polls counts in the budget of the task, which is 128 operations: after
/// about as many children the scope yields, and its next poll continues with the others.
///
/// # Panics
/// If the body or a child panics, everything else in the scope is dropped, and then the panic is
/// resumed in the task that awaits the scope.
///
/// # Cancel safety
/// Dropping the future drops the body and all children. Not cancel safe if one of them is not, or
/// if the outputs of completed children are needed. Forgetting the future is safe and leaks them:
/// they are never polled again.
///
/// # Complexity
/// O(1) for a spawn, a wake and a completion, and in each poll O(n) in the number of children that
/// were woken. A scope makes six allocations, and its future is at most 200 bytes larger than that
/// of the body. A child makes three: its future, its output, and its waker.
///
/// # Examples
/// Two halves of a sum, computed by children that borrow a vector, and a counter that one of them
/// borrows mutably:
/// ```
/// use runtime::task;
///
/// # runtime::block_on(async {
/// let numbers = vec![1, 2, 3, 4];
/// let mut visited = 0;
/// let sum = task::scope(async |s| {
///     let (left, right) = numbers.split_at(2);
///     let left = s.spawn(async move { left.iter().sum::<i32>() });
///     let right = s.spawn(async {
///         visited += right.len();
///         right.iter().sum::<i32>()
///     });
///     left.await + right.await
/// });
/// assert_eq!(sum.await, 10);
/// assert_eq!(visited, 2);
/// # });
/// ```
///
/// Children that spawn others, without handles:
/// ```
/// use std::cell::Cell;
///
/// # runtime::block_on(async {
/// let count = Cell::new(0);
/// runtime::task::scope(async |s| {
///     for n in 1..=3 {
///         let count = &count;
///         s.spawn(async move {
///             count.set(count.get() + n);
///             s.spawn(async move { count.set(count.get() + 10 * n) });
///         });
///     }
/// })
/// .await;
/// assert_eq!(count.get(), 66);
/// # });
/// ```
///
/// A child cannot borrow from the body:
/// ```compile_fail,E0373
/// # runtime::block_on(async {
/// runtime::task::scope(async |s| {
///     let local = String::from("too short a life");
///     s.spawn(async { println!("{}", &local) });
/// })
/// .await;
/// # });
/// ```
///
/// Nor can it outlive what it borrows:
/// ```compile_fail,E0505
/// # runtime::block_on(async {
/// let text = String::from("text");
/// let scope = runtime::task::scope(async |s| {
///     s.spawn(async { println!("{}", &text) });
/// });
/// drop(text);
/// scope.await;
/// # });
/// ```
///
/// Neither a handle nor the scope itself can leave the body:
/// ```compile_fail
/// # runtime::block_on(async {
/// let handle = runtime::task::scope(async |s| s.spawn(async { 1 })).await;
/// handle.await;
/// # });
/// ```
/// ```compile_fail
/// # runtime::block_on(async {
/// let mut escaped = None;
/// runtime::task::scope(async |s| escaped = Some(s)).await;
/// # });
/// ```
pub async fn scope<'env, T, F>(body: F) -> T
where
    F: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env, T>) -> T,
{
    // Declared first, so that it is dropped after the children, which borrow it.
    let scope;
    let children = Rc::new(Children::new());
    scope = Scope::new(&children);
    let mut body = pin!(Some(body(&scope)));
    poll_fn(|cx| poll_scope(&children, body.as_mut(), |_| false, cx)).await
}

/// Polls a scope, and resumes the panic with which it may end.
fn poll_scope<B: Future>(
    children: &Children<'_, B::Output>,
    body: Pin<&mut Option<B>>,
    ends: fn(&B::Output) -> bool,
    cx: &Context<'_>,
) -> Poll<B::Output> {
    match ready!(children.poll(body, ends, cx)) {
        Ok(value) => Poll::Ready(value),
        Err(payload) => resume_unwind(payload),
    }
}

/// A scope in which children are spawned. [`scope()`] passes it to its body.
///
/// `'scope` is the life of the children, and `'env` that of what they borrow. `T` is the output of
/// the scope.
pub struct Scope<'scope, 'env: 'scope, T = ()> {
    /// Weak, because the children in it borrow this.
    children: Weak<Children<'scope, T>>,
    /// Invariant, so that the compiler changes neither lifetime.
    env: PhantomData<&'scope mut &'env ()>,
}

impl<'scope, 'env, T> Scope<'scope, 'env, T> {
    fn new(children: &Rc<Children<'scope, T>>) -> Scope<'scope, 'env, T> {
        Scope {
            children: Rc::downgrade(children),
            env: PhantomData,
        }
    }

    /// Spawns a child, which is first polled when the body, or the child that calls this, has
    /// yielded.
    ///
    /// Dropping the handle detaches the child, which the scope still awaits. In a scope that ends,
    /// such as in the destructor of another child, the future is dropped instead.
    ///
    /// # Examples
    /// ```
    /// # runtime::block_on(async {
    /// let name = String::from("child");
    /// let length = runtime::task::scope(async |s| {
    ///     let child = s.spawn(async { name.len() });
    ///     child.await
    /// });
    /// assert_eq!(length.await, 5);
    /// # });
    /// ```
    pub fn spawn<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + 'scope,
    {
        let output = Output::new();
        let shared = output.clone();
        self.add(future, move |value| shared.complete(value));
        ScopedJoinHandle::new(output)
    }

    /// Adds a child that calls a function with its output.
    fn add<F: Future + 'scope>(&self, future: F, complete: impl FnOnce(F::Output) + 'scope) {
        if let Some(children) = self.children.upgrade() {
            children.add(Box::pin(Child {
                future,
                complete: Some(complete),
            }));
        }
    }

    /// Ends the scope with a value: the body and all children are dropped instead of being polled
    /// again, and the scope returns the value.
    ///
    /// The caller itself is dropped at the next `await` that waits. Awaiting the returned future,
    /// which never completes, stops it there. The first value counts; a panic of the caller before
    /// it stops counts instead.
    ///
    /// # Examples
    /// The first of several answers, and a body that ends its background work:
    /// ```
    /// use std::time::Duration;
    /// use runtime::{task, time};
    ///
    /// # runtime::block_on(async {
    /// let delays = [30, 0, 20];
    /// let first = task::scope(async |s| {
    ///     for (n, delay) in delays.iter().enumerate() {
    ///         s.spawn(async move {
    ///             time::sleep(Duration::from_secs(*delay)).await;
    ///             s.exit(Some(n)).await;
    ///         });
    ///     }
    ///     None // if there is no child
    /// });
    /// assert_eq!(first.await, Some(1));
    ///
    /// let answer = task::scope(async |s| {
    ///     s.spawn(async {
    ///         loop {
    ///             time::sleep(Duration::from_secs(10)).await; // a heartbeat
    ///         }
    ///     });
    ///     s.exit(6 * 7).await
    /// });
    /// assert_eq!(answer.await, 42);
    /// # });
    /// ```
    pub fn exit(&self, value: T) -> Pending<T> {
        self.request_exit(value);
        pending()
    }

    fn request_exit(&self, value: T) {
        if let Some(children) = self.children.upgrade() {
            children.exit(value);
        }
    }

    /// Returns the number of children that are not complete, the caller included if it is one.
    pub fn len(&self) -> usize {
        self.children.upgrade().map_or(0, |children| children.len())
    }

    /// Returns true if all children are complete.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for Scope<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("len", &self.len()).finish()
    }
}

pin_project! {
    /// A future with a function that receives its output.
    struct Child<F, C> {
        #[pin]
        future: F,
        complete: Option<C>,
    }
}

impl<F: Future, C: FnOnce(F::Output)> Future for Child<F, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let output = ready!(this.future.poll(cx));
        if let Some(complete) = this.complete.take() {
            complete(output);
        }
        Poll::Ready(())
    }
}
