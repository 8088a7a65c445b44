//! The Web server's log. The C twin has the same in `web/log.h`.

use std::io::Write;
use std::sync::Mutex;

use super::connection::{Connection, seconds_since_1970};
use super::date::log_date;
use super::request::Status;
use crate::common::{print, text::escape};

/// Prints a line in the common log format: client, time, request, status, bytes sent.
pub fn response(conn: &mut Connection, status: Status, sent: u64) {
    static WHOLE: Mutex<()> = Mutex::new(()); // long lines on a pipe could otherwise mix
    let line = &mut conn.response;
    line.clear();
    let _ = match (conn.client.v4(), conn.client.v6()) {
        (Some(addr), _) => write!(line, "{}", addr.sin_addr), // into memory, here and below
        (_, Some(addr)) => write!(line, "{}", addr.sin6_addr),
        _ => write!(line, "-"),
    };
    let known = conn.site.credentials.as_ref();
    let known = known.filter(|known| known.are_in(&conn.request.credentials));
    line.extend_from_slice(b" - ");
    escape(known.map_or("-", |known| &known.name).as_bytes(), line);
    line.extend_from_slice(b" [");
    log_date(seconds_since_1970(), line);
    line.extend_from_slice(b"] \"");
    for (i, piece) in conn.request.line.split(|&byte| byte == b'"').enumerate() {
        if i > 0 {
            line.extend_from_slice(b"\\\""); // a client's quotation mark does not end the field
        }
        escape(piece, line);
    }
    if conn.request.line.is_empty() {
        line.push(b'-');
    }
    let _ = match sent {
        0 => writeln!(line, "\" {status} -"),
        sent => writeln!(line, "\" {status} {sent}"),
    };
    let _whole = WHOLE.lock();
    print(line);
}
