//! Opens the file of a name or, with --list, lists a directory. The C twin has the same in
//! `web/files.h`, without the list.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};
use sockstep::{Errno, Error, close};

use super::connection::{Connection, seconds_since_1970};
use super::request::{Status, escape_url, is_hidden};
use crate::common::text::escape;

/// The result of a step, or the status to refuse the request with.
pub type Outcome<T> = Result<T, Status>;

/// The source of a response's body.
pub enum Resource {
    File {
        fd: OwnedFd,
        size: u64,
        modified: i64, // seconds since 1970
    },
    Listing(Vec<u8>),
}

/// Opens the directory whose files are served.
pub fn open_root(path: &Path) -> sockstep::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|errno| Error::new("open", errno))
}

/// Opens the file that the connection's name means: for a directory, its index.html.
pub fn open_resource(conn: &mut Connection) -> Outcome<Resource> {
    let is_directory = conn.name.is_empty() || conn.name.ends_with(b"/");
    let directory = conn.name.len();
    if is_directory {
        conn.name.extend_from_slice(b"index.html");
    }
    let fd = match open_beneath(conn, OFlag::empty()) {
        Err(404) if is_directory => {
            conn.name.truncate(directory);
            let fd = open_beneath(conn, OFlag::O_DIRECTORY)?;
            if conn.site.list {
                return Ok(Resource::Listing(listing(&conn.name, fd)));
            }
            close(fd).map_err(|error| conn.fail(error))?;
            return Err(403); // the directory exists, but its names are not shown
        }
        outcome => outcome?,
    };
    let status = fstat(&fd).map_err(|errno| conn.fail(Error::new("fstat", errno)))?;
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFREG {
        #[allow(clippy::useless_conversion, reason = "32 bits on some machines")]
        let modified = i64::from(status.st_mtime);
        return Ok(Resource::File {
            fd,
            size: status.st_size.try_into().unwrap_or_default(),
            modified: modified.min(seconds_since_1970()), // a time in the future must not be sent
        });
    }
    close(fd).map_err(|error| conn.fail(error))?;
    if kind == SFlag::S_IFDIR && !is_directory {
        Err(301) // redirect to the name with a slash, to which the links in its pages are relative
    } else {
        Err(403) // a pipe, a device
    }
}

/// Opens the file of the connection's name, or returns the status to refuse with. A symbolic link
/// cannot lead out of the root.
fn open_beneath(conn: &Connection, flag: OFlag) -> Outcome<OwnedFd> {
    // Non-blocking: opening a named pipe would otherwise wait for a writer.
    let flags = flag | OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let name = if conn.name.is_empty() {
        b"."
    } else {
        conn.name.as_slice()
    };
    let mut tries = 0;
    loop {
        tries += 1;
        return match openat2(&conn.site.root, name, how) {
            Ok(fd) => Ok(fd),
            Err(Errno::EAGAIN) if tries < 10 => continue, // something was renamed at that moment
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG) => Err(404),
            // Not readable, outside the root, a loop of links, a socket or a device without a
            // driver.
            Err(
                Errno::EACCES
                | Errno::EPERM
                | Errno::EXDEV
                | Errno::ELOOP
                | Errno::ENXIO
                | Errno::ENODEV,
            ) => Err(403),
            Err(errno) => Err(conn.fail(Error::new("openat2", errno))),
        };
    }
}

/// A page with the names in a directory, except the hidden ones.
fn listing(name: &[u8], fd: OwnedFd) -> Vec<u8> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for entry in Dir::from_fd(fd)
        .into_iter()
        .flat_map(Dir::into_iter)
        .flatten()
    {
        let mut name = CStr::to_bytes(entry.file_name()).to_vec();
        if !is_hidden(&name) {
            if entry.file_type() == Some(Type::Directory) {
                name.push(b'/');
            }
            names.push(name);
        }
    }
    names.sort_unstable();
    let mut title = b"/".to_vec();
    escape_html(name, &mut title);
    let title = String::from_utf8_lossy(&title);
    let mut page = format!("<!DOCTYPE html>\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n");
    if !name.is_empty() {
        page += "<li><a href=\"../\">../</a>\n";
    }
    let mut page = page.into_bytes();
    for name in names {
        page.extend_from_slice(b"<li><a href=\"./");
        escape_url(&name, &mut page);
        page.extend_from_slice(b"\">");
        escape_html(&name, &mut page);
        page.extend_from_slice(b"</a>\n");
    }
    page.extend_from_slice(b"</ul>\n");
    page
}

/// Appends a name as HTML text: escapes control characters and the characters that would begin a
/// tag or an entity.
fn escape_html(name: &[u8], page: &mut Vec<u8>) {
    let mut text = Vec::new();
    escape(name, &mut text);
    for byte in text {
        match byte {
            b'<' => page.extend_from_slice(b"&lt;"),
            b'&' => page.extend_from_slice(b"&amp;"),
            b'"' => page.extend_from_slice(b"&quot;"),
            byte => page.push(byte),
        }
    }
}
