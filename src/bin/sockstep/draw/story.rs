//! A run for the pictures in files: its events in the world's order, each with its step and its
//! remarks.

use std::collections::{HashMap, HashSet};

use crate::draw::call::said;
use crate::lectures::crossings;
use crate::lectures::remarks::Remarks;
use crate::lectures::steps::{Headings, Step};
use crate::strace::calls::{self, Data, Row};
use crate::strace::line::{Call, Entry, What};
use crate::world::events::{Event, Made};
use crate::world::sockets::Socket;
use crate::world::tasks::TaskId;
use crate::world::{Side, World};

/// Of a call that has not returned.
pub const OPEN: &str = "has not returned";

#[derive(Default)]
pub struct Story {
    pub world: World,
    /// Each source is one client or the server. Otherwise a side may have several sources.
    of_clients: bool,
    /// The steps of each side, of each client if there are many.
    headings: HashMap<(usize, Side), Headings>,
    remarks: Remarks,
    /// Steps whose words differ from the program's own, for example for a Unix-domain socket.
    told: Vec<(Side, Step)>,
    /// The first task of each source; and all tasks that use sockets.
    first: HashMap<(usize, Side), TaskId>,
    known: HashSet<TaskId>,
}

/// An event with its step and remarks.
pub struct Told {
    pub event: Event,
    /// The step of this event.
    pub step: Option<Step>,
    pub notes: Vec<String>,
    /// The text that a program prints, if it does; `true`: to standard error.
    pub words: Option<(bool, String)>,
    /// Whether it is about the network, about tasks, or a program's output.
    pub is_shown: bool,
}

impl Story {
    /// A run of a server with many clients. Of these, `source` is the number; of the server it is 0.
    pub fn of_clients() -> Story {
        Story {
            of_clients: true,
            ..Story::default()
        }
    }

    pub fn take(&mut self, source: usize, side: Side, entry: Entry) {
        self.world.take(source, side, entry);
    }

    /// The next event, if its place in the order is final.
    pub fn next(&mut self) -> Option<Told> {
        if self.world.is_full() {
            self.rest()
        } else {
            None
        }
    }

    /// The next event, when no more entries will come.
    pub fn rest(&mut self) -> Option<Told> {
        let event = self.world.next(u64::MAX)?;
        let teller = self.teller(&event);
        let headings = self.headings.entry(teller).or_default();
        let step = headings.of(&self.world, &event);
        let begun = headings.have_begun();
        if let Some(step @ Step::Owned(_)) = &step {
            let told = (event.side, step.clone());
            if !self.told.contains(&told) {
                self.told.push(told);
            }
        }
        let mut notes = crossings::notes(&self.world, &event);
        let found = self.remarks.on(&self.world, &event).into_iter();
        notes.extend(found.map(|it| format!("{}. See: sockstep explain {}", it.words, it.explain)));
        let words = said(&self.world, &event).and_then(|(wrong, words)| {
            let text = String::from_utf8_lossy(&words).trim_end().to_owned();
            (!text.is_empty()).then_some((wrong, text))
        });
        let is_shown = self.shows(&event, begun, words.is_some());
        Some(Told {
            event,
            step,
            notes,
            words,
            is_shown,
        })
    }

    fn teller(&self, event: &Event) -> (usize, Side) {
        let source = if self.of_clients { event.source } else { 0 };
        (source, event.side)
    }

    /// The fate of tasks that use sockets; that of the first task, if it is worth showing.
    fn shows(&mut self, event: &Event, begun: bool, words: bool) -> bool {
        let teller = self.teller(event);
        let first = *self.first.entry(teller).or_insert(event.task);
        let known = self.known.contains(&event.task);
        match &event.what {
            What::Call(_) if words => {
                if first == event.task {
                    self.known.insert(event.task);
                }
                begun || first == event.task
            }
            What::Call(_) => {
                let socket = event.socket.and_then(|id| self.world.socket(id));
                let systems = socket.is_some_and(Socket::is_the_systems);
                let network = (event.on_a_socket || event.socket.is_some()) && !systems;
                let made = match event.made {
                    Made::Task(made) if begun => Some(made),
                    _ => None,
                };
                let shown = network || made.is_some();
                if shown {
                    self.known.insert(event.task);
                    self.known
                        .extend(made.filter(|_| event.side == Side::Server));
                }
                shown
            }
            What::Signal(words) => known && !words.starts_with("stopped by"),
            What::End(_) => known,
            What::Unknown(_) => true,
        }
    }

    /// The steps of a side, in the words used.
    pub fn steps(&self, side: Side) -> Vec<Step> {
        let own = self.headings.iter().filter(|((_, own), _)| *own == side);
        let own = own.map(|((source, _), headings)| (source, headings.all()));
        let own = own.filter(|(_, steps)| !steps.is_empty());
        let first = own.min_by_key(|(source, _)| *source);
        let steps = first.map(|(_, steps)| steps).unwrap_or_default();
        let number = |step: &str| step.find(". ").map(|at| step[..at].to_owned());
        let told = |step: &str| {
            let mut own = self.told.iter().filter(|(own, _)| *own == side);
            let alike = own.find(|(_, told)| number(told) == number(step));
            alike.map(|(_, told)| told.clone())
        };
        let steps = steps.into_iter();
        steps
            .map(|step| told(step).unwrap_or(Step::Borrowed(step)))
            .collect()
    }
}

/// The place of a call's bytes.
fn data_of(call: &Call) -> Option<(&'static Row, Data)> {
    let row = calls::of(&call.name)?;
    Some((row, row.sends.or(row.receives)?))
}

/// The bytes that a call has moved, as far as strace has written them, message by message.
pub fn bytes_of(call: &Call) -> Vec<Vec<u8>> {
    let Some((row, data)) = data_of(call) else {
        return Vec::new();
    };
    let parcels = data.parcels(row, call).into_iter();
    parcels
        .map(|parcel| {
            let mut bytes: Vec<u8> = parcel.pieces.into_iter().flat_map(|(it, _)| it).collect();
            bytes.truncate(usize::try_from(parcel.length).unwrap_or(usize::MAX));
            bytes
        })
        .collect()
}
