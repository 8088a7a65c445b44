//! The response of the Web server: its status, its headers, a page of our own. The C twin has the
//! same in `web/generate.h`.

use std::io::Write;
use std::ops::Range;

use super::connection::{Connection, seconds_since_1970};
use super::date::http_date;
use super::files::{Outcome, Resource};
use super::request::{Request, Status, content_type, escape_url};

/// The body of a response.
pub struct Body {
    /// Bytes of a page of our own, which is already in the response after the headers.
    pub page: u64,
    /// The part of the file that is sent after it.
    pub part: Range<u64>,
}

/// Writes the response, without its file, into `conn.response`.
pub fn response(conn: &mut Connection, found: &Outcome<Resource>) -> (Status, Body) {
    let (status, mut part) = match found {
        Err(status) => (*status, 0..0),
        Ok(Resource::Listing(_)) => (200, 0..0),
        Ok(Resource::File { size, modified, .. }) => conditional(&conn.request, *size, *modified),
    };
    let mut page = match found {
        Ok(Resource::Listing(page)) => page.clone(),
        _ if matches!(status, 200 | 206 | 304) => Vec::new(),
        _ => error_page(status),
    };
    head(conn, status, found, &part, page.len() as u64);
    if conn.request.head {
        page.clear();
        part = 0..0;
    }
    conn.response.extend_from_slice(&page);
    let page = page.len() as u64;
    (status, Body { page, part })
}

/// The status and the part of the file to send, for a request that may ask for a part only, or only
/// for a file that is newer than its copy.
fn conditional(request: &Request, size: u64, modified: i64) -> (Status, Range<u64>) {
    if request
        .if_modified_since
        .is_some_and(|since| modified <= since)
    {
        return (304, 0..0);
    }
    match request.range {
        Some(range) if !request.head && request.if_range.is_none_or(|date| date == modified) => {
            range.within(size).map_or((416, 0..0), |part| (206, part))
        }
        _ => (200, 0..size),
    }
}

/// Writes everything before the body. The only thing in it that a client sent is the name of a
/// directory, which is escaped.
fn head(
    conn: &mut Connection,
    status: Status,
    found: &Outcome<Resource>,
    part: &Range<u64>,
    page: u64,
) {
    let head = &mut conn.response;
    head.clear();
    // Into memory, here and below.
    let _ = write!(head, "HTTP/1.1 {status} {}\r\nDate: ", reason(status));
    http_date(seconds_since_1970(), head);
    let _ = write!(
        head,
        "\r\nServer: sockstep/{}\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut length = page;
    match found {
        Ok(Resource::File { size, modified, .. }) if matches!(status, 200 | 206 | 304) => {
            if status != 304 {
                let _ = write!(head, "Content-Type: {}\r\n", content_type(&conn.name));
            }
            head.extend_from_slice(b"Last-Modified: ");
            http_date(*modified, head);
            head.extend_from_slice(b"\r\nAccept-Ranges: bytes\r\n");
            if status == 206 {
                let (first, last) = (part.start, part.end - 1);
                let _ = write!(head, "Content-Range: bytes {first}-{last}/{size}\r\n");
            }
            length = part.end - part.start;
        }
        _ => head.extend_from_slice(b"Content-Type: text/html; charset=utf-8\r\n"),
    }
    if status != 304 {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    match (status, found) {
        (301, _) => {
            head.extend_from_slice(b"Location: /");
            escape_url(&conn.name, head);
            head.extend_from_slice(b"/\r\n");
        }
        (401, _) => head.extend_from_slice(b"WWW-Authenticate: Basic realm=\"files\"\r\n"),
        (405, _) => head.extend_from_slice(b"Allow: GET, HEAD\r\n"),
        (416, Ok(Resource::File { size, .. })) => {
            let _ = write!(head, "Content-Range: bytes */{size}\r\n");
        }
        _ => {}
    }
    if !conn.request.keep_alive {
        head.extend_from_slice(b"Connection: close\r\n");
    } else if conn.request.old {
        head.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

fn reason(status: Status) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

fn error_page(status: Status) -> Vec<u8> {
    let title = format!("{status} {}", reason(status));
    format!("<!DOCTYPE html>\n<title>{title}</title>\n<h1>{title}</h1>\n").into_bytes()
}
