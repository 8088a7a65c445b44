//! `--csv FILE`: a table with a row for each event, as in RFC 4180.

use std::fmt::Write;

use crate::common::text::escape;
use crate::draw::history::{History, Moment};
use crate::draw::story::bytes_of;
use crate::draw::terminal::visible;
use crate::strace::line::What;
use crate::world::events::{End, Movement};

const COLUMNS: [&str; 20] = [
    "run", "event", "side", "task", "pid", "start_ns", "took_ns", "kind", "call", "text", "result",
    "error", "step", "socket", "protocol", "moved", "from", "to", "bytes", "remarks",
];
/// The most bytes of a call in its row, and characters of its text: a spreadsheet's cell holds
/// 32,767.
const BYTES: usize = 4096;
const CHARACTERS: usize = 16_384;

pub fn draw(runs: &[History], _: &mut Vec<String>) -> Vec<u8> {
    let mut table = COLUMNS.join(",") + ",causes\r\n";
    for run in runs {
        for moment in &run.moments {
            row(run, moment, &mut table);
        }
    }
    table.into_bytes()
}

fn row(run: &History, moment: &Moment, table: &mut String) {
    let event = &moment.event;
    let number = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let call = event.call();
    let kind = match &event.what {
        What::Call(_) => "call",
        What::Signal(_) => "signal",
        What::End(_) => "end",
        What::Unknown(_) => "unknown",
    };
    let text = match &event.what {
        What::Call(call) => format!("{}({})", call.name, call.args.join(", ")),
        What::Signal(words) | What::End(words) | What::Unknown(words) => words.clone(),
    };
    let text = match text.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    };
    let error = call
        .filter(|call| call.failed())
        .map(|call| call.note.clone());
    let socket = event.socket.and_then(|id| run.sockets.get(&id));
    let moved = event.moved.first().map(|moved| &moved.what);
    let (way, from, to) = match moved {
        None => ("", None, None),
        Some(Movement::Sent { range, .. }) => ("sent", Some(range.start), Some(range.end)),
        Some(Movement::Received {
            range,
            peeked: true,
            ..
        }) => ("peeked", Some(range.start), Some(range.end)),
        Some(Movement::Received { range, .. }) => ("received", Some(range.start), Some(range.end)),
        Some(Movement::MessageSent { length, .. }) => ("sent", Some(0), Some(*length)),
        Some(Movement::MessageReceived { length, .. }) => ("received", Some(0), Some(*length)),
        Some(Movement::Ended(End::Fin)) => ("FIN", None, None),
        Some(Movement::Ended(End::Reset { .. })) => ("RST", None, None),
        Some(Movement::MetEnd(End::Fin)) => ("met FIN", None, None),
        Some(Movement::MetEnd(End::Reset { .. })) => ("met RST", None, None),
    };
    let carried = call
        .filter(|_| event.socket.is_some())
        .map(bytes_of)
        .unwrap_or_default()
        .concat();
    let causes: Vec<String> = event
        .causes
        .iter()
        .map(|cause| cause.0.to_string())
        .collect();
    let fields = [
        run.name.clone(),
        event.id.0.to_string(),
        event.side.name().to_owned(),
        run.label(event.task),
        number(
            run.tasks
                .get(&event.task)
                .and_then(|doer| doer.pid)
                .map(u64::from),
        ),
        number(event.entered),
        number(call.and_then(|call| call.took)),
        kind.to_owned(),
        call.map(|call| call.name.clone()).unwrap_or_default(),
        text,
        call.map(|call| call.result.clone()).unwrap_or_default(),
        error.unwrap_or_default(),
        moment.step.as_deref().unwrap_or_default().to_owned(),
        number(event.socket.map(|id| id.0)),
        socket.map_or("", |socket| socket.name).to_owned(),
        way.to_owned(),
        number(from),
        number(to),
        quoted(&carried),
        moment.notes.join("; "),
        causes.join(" "),
    ];
    for (at, words) in fields.iter().enumerate() {
        if at > 0 {
            table.push(',');
        }
        field(words, table);
    }
    table.push_str("\r\n");
}

/// Bytes in quotes with C's escapes, so that they are only text. Empty for no bytes.
fn quoted(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let mut text = vec![b'"'];
    escape(&bytes[..bytes.len().min(BYTES)], &mut text);
    text.push(b'"');
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if bytes.len() > BYTES {
        let _ = write!(text, "...{} more", bytes.len() - BYTES); // into memory
    }
    text
}

/// A field. Text that a spreadsheet would read as a formula gets an apostrophe in front.
fn field(words: &str, table: &mut String) {
    let formula =
        words.starts_with(['=', '+', '-', '@', '\t', '\r']) && words.parse::<f64>().is_err();
    let words = format!("{}{}", if formula { "'" } else { "" }, visible(words));
    if words.contains([',', '"', '\r', '\n']) {
        table.push('"');
        table.push_str(&words.replace('"', "\"\""));
        table.push('"');
    } else {
        table.push_str(&words);
    }
}
