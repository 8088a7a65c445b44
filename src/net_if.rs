//! `<net/if.h>`: the names and the numbers of this machine's interfaces.

#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

use std::ffi::{CStr, CString};

use libc::c_uint;

use crate::error::{Errno, Error, Result};

/// How many bytes an interface's name may have, its final 0 among them.
pub const IF_NAMESIZE: usize = libc::IF_NAMESIZE;

/// `if_nametoindex(ifname)`: an interface's number, as in `sin6_scope_id`.
///
/// ```
/// # use sockstep::*;
/// assert_eq!(if_indextoname(if_nametoindex("lo")?)?, "lo");
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `ENODEV`: no such interface.
/// - `EINVAL`: a NUL inside the name, where C would see its end.
///
/// See [if_nametoindex(3)](https://man7.org/linux/man-pages/man3/if_nametoindex.3.html).
pub fn if_nametoindex(ifname: &str) -> Result<c_uint> {
    let name = CString::new(ifname).map_err(|_| Error::new("if_nametoindex", Errno::EINVAL))?;
    // SAFETY: `name` ends with a NUL.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Error::last("if_nametoindex")),
        index => Ok(index),
    }
}

/// `if_indextoname(ifindex, ifname)`: an interface's name.
///
/// # Errors
///
/// - `ENXIO`: no interface has that number.
///
/// See [if_indextoname(3)](https://man7.org/linux/man-pages/man3/if_indextoname.3.html).
pub fn if_indextoname(ifindex: c_uint) -> Result<String> {
    let mut name = [0_u8; IF_NAMESIZE];
    // SAFETY: `name` is writable for `IF_NAMESIZE` bytes.
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return Err(Error::last("if_indextoname"));
    }
    let text = CStr::from_bytes_until_nul(&name);
    let text = text.map_err(|_| Error::new("if_indextoname", Errno::EOVERFLOW))?; // no sound library
    Ok(text.to_string_lossy().into_owned())
}

/// `if_nameindex()`: every interface, as its number and its name. C's `if_freenameindex` has been called when it returns.
///
/// # Errors
///
/// - `ENOBUFS`, `EMFILE`: no memory, no descriptor is left.
///
/// See [if_nameindex(3)](https://man7.org/linux/man-pages/man3/if_nameindex.3.html).
pub fn if_nameindex() -> Result<Vec<(c_uint, String)>> {
    // SAFETY: no arguments.
    let list = unsafe { libc::if_nameindex() };
    if list.is_null() {
        return Err(Error::last("if_nameindex"));
    }
    let mut found = Vec::new();
    let mut at = list;
    loop {
        // SAFETY: an entry of the list; the last has index 0 and no name, and `at` goes no further.
        let entry = unsafe { at.read() };
        if entry.if_index == 0 || entry.if_name.is_null() {
            break;
        }
        // SAFETY: a name in the list ends with a NUL.
        let name = unsafe { CStr::from_ptr(entry.if_name) };
        found.push((entry.if_index, name.to_string_lossy().into_owned()));
        // SAFETY: this was not the last.
        at = unsafe { at.add(1) };
    }
    // SAFETY: the list is `if_nameindex`'s, and nothing of it is used any more.
    unsafe { libc::if_freenameindex(list) };
    Ok(found)
}
