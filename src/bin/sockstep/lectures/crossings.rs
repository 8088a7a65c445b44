//! What there is to say of the bytes and ends that a call moves: how much the kernel took, what was lost, how a stream ended.
//! It is said each time, unlike the remarks.

use crate::world::World;
use crate::world::events::{End, Event, Movement};

/// What the ladder says below a call, and a page beside it.
pub fn notes(world: &World, event: &Event) -> Vec<String> {
    let mut notes = Vec::new();
    for moved in &event.moved {
        notes.extend(match &moved.what {
            Movement::Sent { range, asked } if range.end - range.start < *asked => {
                let taken = grouped(range.end - range.start);
                Some(format!("partial: {taken} of {} taken", grouped(*asked)))
            }
            Movement::Received { .. } if event.causes.len() > 1 => {
                Some(format!("{} sends, 1 recv", event.causes.len()))
            }
            Movement::MessageReceived {
                length,
                sent: Some(sent),
                ..
            } if sent > length => Some(if event.causes.is_empty() {
                "cut: the rest of the message is lost".to_owned()
            } else {
                let lost = grouped(sent - length);
                format!("cut: {lost} of {} bytes lost", grouped(*sent))
            }),
            Movement::Ended(End::Reset { unread }) => Some(match unread {
                0 => "SO_LINGER of 0: a reset, not an end".to_owned(),
                1 => "1 byte unread: a reset, not an end".to_owned(),
                unread => format!("{} bytes unread: a reset, not an end", grouped(*unread)),
            }),
            Movement::MetEnd(End::Reset {
                unread: unread @ 1..,
            }) => Some(format!(
                "the peer has closed with {} bytes unread",
                grouped(*unread)
            )),
            _ => None,
        });
    }
    notes.dedup();
    if world.is_deadlocked(event) {
        notes.push("the other side waits as well: a deadlock".to_owned());
    }
    notes
}

/// A number with commas: `3,919,467`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
