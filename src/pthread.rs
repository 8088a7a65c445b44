//! `<pthread.h>`: threads, made as C makes them.
//!
//! A thread that cannot be made is an error, never a panic and never an abort: the standard
//! library's threads also set up a signal stack, and abort the process when that fails.

#![allow(non_camel_case_types, reason = "C's names")]
#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fmt, ptr};

use libc::c_int;

use crate::error::{Errno, Error, Result};

/// `pthread_t`: a thread made by [`pthread_create`], which returns a `T`.
///
/// [`pthread_join`] waits for it, [`pthread_detach`] detaches it. Dropping it detaches it too; its
/// result is lost then.
pub struct pthread_t<T> {
    id: libc::pthread_t,
    gives: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for pthread_t<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("pthread_t").finish_non_exhaustive()
    }
}

impl<T> Drop for pthread_t<T> {
    fn drop(&mut self) {
        // SAFETY: this handle is the only one, and was neither joined nor detached.
        unsafe { libc::pthread_detach(self.id) };
    }
}

/// `pthread_attr_t`: the attributes of a new thread.
pub struct pthread_attr_t(libc::pthread_attr_t);

impl fmt::Debug for pthread_attr_t {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("pthread_attr_t").finish_non_exhaustive()
    }
}

impl Drop for pthread_attr_t {
    fn drop(&mut self) {
        // SAFETY: `pthread_attr_init` made it, and it is gone after this.
        unsafe { libc::pthread_attr_destroy(&raw mut self.0) };
    }
}

/// `pthread_attr_init(&attr)`: the attributes that a thread has by default. `pthread_attr_destroy` is their drop.
///
/// # Errors
///
/// - `ENOMEM`: no memory is left. Linux always has it.
///
/// See [pthread_attr_init(3)](https://man7.org/linux/man-pages/man3/pthread_attr_init.3.html).
pub fn pthread_attr_init() -> Result<pthread_attr_t> {
    let mut attr = MaybeUninit::uninit();
    // SAFETY: `attr` is writable.
    check("pthread_attr_init", unsafe {
        libc::pthread_attr_init(attr.as_mut_ptr())
    })?;
    // SAFETY: the call has filled it in.
    Ok(pthread_attr_t(unsafe { attr.assume_init() }))
}

/// `pthread_attr_setstacksize(&attr, stacksize)`: bytes of the thread's stack.
///
/// # Errors
///
/// - `EINVAL`: less than `PTHREAD_STACK_MIN`, 16 KiB.
///
/// See [pthread_attr_setstacksize(3)](https://man7.org/linux/man-pages/man3/pthread_attr_setstacksize.3.html).
pub fn pthread_attr_setstacksize(attr: &mut pthread_attr_t, stacksize: usize) -> Result<()> {
    // SAFETY: the attributes were made by `pthread_attr_init`.
    check("pthread_attr_setstacksize", unsafe {
        libc::pthread_attr_setstacksize(&raw mut attr.0, stacksize)
    })
}

/// `pthread_create(&thread, &attr, start_routine, arg)`: makes a thread that runs a closure, which is C's routine and its
/// argument in one. `None` for the attributes is C's NULL.
///
/// ```
/// # use sockstep::*;
/// let thread = pthread_create(None, || 6 * 7)?;
/// assert_eq!(pthread_join(thread)?, 42);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EAGAIN`: no memory for it and its stack, or no more threads (`RLIMIT_NPROC`, `threads-max`). The closure is dropped, and
///   what it owns with it.
/// - `EINVAL`, `EPERM`: attributes that cannot be had.
///
/// See [pthread_create(3)](https://man7.org/linux/man-pages/man3/pthread_create.3.html).
pub fn pthread_create<F, T>(attr: Option<&pthread_attr_t>, start_routine: F) -> Result<pthread_t<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let attr = attr.map_or(ptr::null(), |attr| &raw const attr.0);
    let Some(arg) = boxed(start_routine).map(Box::into_raw) else {
        return Err(Error::new("pthread_create", Errno::EAGAIN));
    };
    let mut thread = MaybeUninit::uninit();
    // SAFETY: `thread` is writable, `attr` is NULL or initialized, and `start` takes the box that `arg` was.
    let made = check("pthread_create", unsafe {
        libc::pthread_create(thread.as_mut_ptr(), attr, start::<F, T>, arg.cast())
    });
    if let Err(error) = made {
        // SAFETY: there is no thread, so the box is still ours.
        drop(unsafe { Box::from_raw(arg) });
        return Err(error);
    }
    Ok(pthread_t {
        // SAFETY: the call has filled it in.
        id: unsafe { thread.assume_init() },
        gives: PhantomData,
    })
}

/// A value in a box of its own, or `None` if no memory is left: `Box::new` would abort.
fn boxed<F>(value: F) -> Option<Box<[F; 1]>> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).ok()?;
    one.push(value);
    one.into_boxed_slice().try_into().ok()
}

/// The new thread's function. It returns its result in a box, or NULL if it panicked.
extern "C" fn start<F: FnOnce() -> T, T>(arg: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` gave this thread the box, which has no other owner.
    let [start_routine] = *unsafe { Box::from_raw(arg.cast::<[F; 1]>()) };
    // The panic has been reported already, and ends this thread only.
    match catch_unwind(AssertUnwindSafe(start_routine)) {
        Ok(result) => Box::into_raw(Box::new(result)).cast(),
        Err(panic) => {
            std::mem::forget(panic); // whose drop might panic once more
            ptr::null_mut()
        }
    }
}

/// `pthread_join(thread, &retval)`: waits for a thread, and returns its result.
///
/// # Errors
///
/// - `EDEADLK`: the thread waits for this one.
/// - `ECANCELED`: it panicked, and gave nothing back. (C has no such error.)
///
/// See [pthread_join(3)](https://man7.org/linux/man-pages/man3/pthread_join.3.html).
pub fn pthread_join<T>(thread: pthread_t<T>) -> Result<T> {
    let thread = ManuallyDrop::new(thread); // joined below, or left alone
    let mut retval: *mut c_void = ptr::null_mut();
    // SAFETY: this handle is the only one, and was neither joined nor detached.
    check("pthread_join", unsafe {
        libc::pthread_join(thread.id, &raw mut retval)
    })?;
    if retval.is_null() {
        return Err(Error::new("pthread_join", Errno::ECANCELED));
    }
    // SAFETY: `start` made it from a box of a `T`, and only this join takes it.
    Ok(*unsafe { Box::from_raw(retval.cast::<T>()) })
}

/// `pthread_detach(thread)`: detaches a thread: it ends by itself, and its result is dropped.
///
/// # Errors
///
/// - None: the thread is there, and was neither joined nor detached. (C: `ESRCH`, `EINVAL`.)
///
/// See [pthread_detach(3)](https://man7.org/linux/man-pages/man3/pthread_detach.3.html).
pub fn pthread_detach(thread: pthread_t<()>) -> Result<()> {
    let thread = ManuallyDrop::new(thread); // detached below
    // SAFETY: this handle is the only one, and was neither joined nor detached.
    check("pthread_detach", unsafe { libc::pthread_detach(thread.id) })
}

/// A call that returns 0 or an error's number, and leaves `errno` alone.
fn check(call: &'static str, code: c_int) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(Error::of_code(call, code)),
    }
}
