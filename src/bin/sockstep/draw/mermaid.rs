//! `--mermaid FILE`: a sequence diagram for mermaid.js.

use std::collections::HashMap;
use std::fmt::Write;

use crate::draw::history::{History, Moment};
use crate::draw::xml::harmless;
use crate::world::Side;
use crate::world::events::{End, EventId, Movement};
use crate::world::sockets::SocketId;
use crate::world::tasks::TaskId;

/// mermaid.js draws at most 50,000 characters, unless configured otherwise.
const MOST: usize = 49_000;
/// Characters of a row.
const WIDTH: usize = 72;

pub fn draw(runs: &[History], words: &mut Vec<String>) -> Vec<u8> {
    let mut text = String::from("sequenceDiagram\n");
    let mut left_out = 0;
    for (at, run) in runs.iter().enumerate() {
        let names = participants(run, at, &mut text);
        if runs.len() > 1
            && let (Some(first), Some(last)) = (names.first(), names.last())
        {
            let _ = writeln!(
                text,
                "  Note over {},{}: {}",
                first.1,
                last.1,
                escape(&run.name)
            ); // into memory, here and below
        }
        left_out += rows(run, &names, &mut text);
    }
    if left_out > 0 {
        words.push(format!(
            "mermaid.js draws 50,000 characters; left out at the end: {left_out} events"
        ));
    }
    text.into_bytes()
}

/// The tasks, clients first, with a name for each.
fn participants(run: &History, at: usize, text: &mut String) -> Vec<(TaskId, String)> {
    let mut tasks: Vec<_> = run.tasks.iter().collect();
    tasks.sort_by_key(|(id, task)| (task.side == Side::Server, task.source, **id));
    let mut names = Vec::new();
    for (number, (id, _)) in tasks.into_iter().enumerate() {
        let name = format!("T{at}x{number}");
        let _ = writeln!(text, "  participant {name} as {}", escape(&run.label(*id)));
        names.push((*id, name));
    }
    names
}

fn rows(run: &History, names: &[(TaskId, String)], text: &mut String) -> usize {
    let names: HashMap<TaskId, &str> = names
        .iter()
        .map(|(id, name)| (*id, name.as_str()))
        .collect();
    // An arrow leads to the task that receives the bytes, or that has last used the other end.
    let mut receivers: HashMap<(EventId, SocketId), TaskId> = HashMap::new();
    for moment in &run.moments {
        for cause in &moment.event.causes {
            for moved in &moment.event.moved {
                receivers
                    .entry((*cause, moved.socket))
                    .or_insert(moment.event.task);
            }
            if let Some(socket) = moment.event.socket {
                receivers
                    .entry((*cause, socket))
                    .or_insert(moment.event.task);
            }
        }
    }
    for (at, moment) in run.moments.iter().enumerate() {
        let Some(name) = names.get(&moment.event.task) else {
            continue;
        };
        let mut row = String::new();
        if let Some(step) = &moment.heading {
            let _ = writeln!(row, "  Note over {name}: {}", escape(step));
        }
        let what = escape(&moment.short(WIDTH));
        let (arrow, to) = arrow(run, moment, &receivers);
        let to = to.and_then(|task| names.get(&task)).unwrap_or(name);
        if moment.words.is_some() {
            let _ = writeln!(row, "  Note over {name}: {}", escape("prints: ") + &what);
        } else {
            let arrow = if to == name { "->>" } else { arrow };
            let _ = writeln!(row, "  {name}{arrow}{to}: {what}");
        }
        for note in &moment.notes {
            let _ = writeln!(row, "  Note over {name}: {}", escape(note));
        }
        if text.len() + row.len() > MOST {
            let _ = writeln!(
                text,
                "  Note over {name}: {} more events",
                run.moments.len() - at
            );
            return run.moments.len() - at;
        }
        text.push_str(&row);
    }
    0
}

/// An arrow, and the task at the other end if something crosses.
fn arrow(
    run: &History,
    moment: &Moment,
    receivers: &HashMap<(EventId, SocketId), TaskId>,
) -> (&'static str, Option<TaskId>) {
    let crossing = moment.event.moved.iter().find_map(|moved| {
        let arrow = match moved.what {
            Movement::Sent { .. } | Movement::MessageSent { .. } => "->>",
            Movement::Ended(End::Fin) => "--)",
            Movement::Ended(End::Reset { .. }) => "--x",
            _ => return None,
        };
        Some((arrow, moved.socket))
    });
    let (arrow, from) = match crossing {
        Some(crossing) => crossing,
        None => match moment.event.socket.filter(|_| moment.connects()) {
            Some(socket) => ("->>", socket),
            None => return ("->>", None),
        },
    };
    let of_event = |(event, _): &(EventId, SocketId)| *event == moment.event.id;
    let exact = run.sockets.get(&from).and_then(|own| own.peer);
    let exact = exact.and_then(|peer| receivers.get(&(moment.event.id, peer)));
    let any = || {
        let mut all = receivers.iter().filter(|(key, _)| of_event(key));
        all.next().map(|(_, task)| task)
    };
    (arrow, exact.or_else(any).copied())
}

/// Text for mermaid.js: characters with a meaning in its syntax become codes.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars().map(harmless) {
        match character {
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | ' '
            | '.'
            | ','
            | '('
            | ')'
            | '='
            | '_'
            | '/'
            | '|'
            | '?'
            | '!' => {
                out.push(character);
            }
            character => {
                let _ = write!(out, "#{};", u32::from(character));
            }
        }
    }
    out
}
