//! Finds the step of a program, or of the slides, for an event.

use std::borrow::Cow;
use std::sync::Arc;

use crate::strace::calls::{self, Does};
use crate::strace::line::{Call, Entry, What};
use crate::world::events::{Event, EventId, Made};
use crate::world::sockets::{Kind, Socket};
use crate::world::{Side, World};

pub use crate::strace::calls::made_task as made;

/// A step's heading.
pub type Step = Cow<'static, str>;

/// The action of a call, as far as steps care: several calls can do the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    Bind,
    Listen,
    Accept,
    Connect,
    Receive,
    Send,
    Watch,
    Shut,
    Close,
    Open,
}

impl Act {
    fn of(call: &Call) -> Option<Act> {
        let row = calls::of(&call.name)?;
        Some(match row.does {
            Does::MakesSocket => Act::Create,
            Does::Binds => Act::Bind,
            Does::Listens => Act::Listen,
            Does::Accepts => Act::Accept,
            Does::Connects => Act::Connect,
            Does::Shuts => Act::Shut,
            Does::Closes => Act::Close,
            Does::Watches(_) if row.waits.is_some() => Act::Watch,
            Does::OpensFile if call.name == "openat2" => Act::Open,
            _ if row.receives.is_some() => Act::Receive,
            _ if row.sends.is_some() => Act::Send,
            _ => return None,
        })
    }
}

/// The steps of a program: for each action its step.
type Steps = [(&'static [Act], &'static str)];

// The Princeton deck's steps, in its words, for every program that has no others below.

const STREAM_SERVER: &Steps = &[
    (&[Act::Create], "Server 1. Create a TCP socket"),
    (&[Act::Bind], "Server 2. Assign a port to the socket"),
    (&[Act::Listen], "Server 3. Set the socket to listen"),
    (&[Act::Accept], "Server 4a. Accept a new connection"),
    (&[Act::Receive, Act::Send], "Server 4b. Communicate"),
    (&[Act::Close], "Server 4c. Close the connection"),
];

const STREAM_CLIENT: &Steps = &[
    (&[Act::Create], "Client 1. Create a TCP socket"),
    (&[Act::Connect], "Client 2. Establish the connection"),
    (
        &[Act::Receive, Act::Send, Act::Watch],
        "Client 3. Communicate",
    ),
    (&[Act::Close], "Client 4. Close the connection"),
];

const DATAGRAM_SERVER: &Steps = &[
    (&[Act::Create], "Server 1. Create a UDP socket"),
    (&[Act::Bind], "Server 2. Assign a port to the socket"),
    (
        &[Act::Receive, Act::Send],
        "Server 3. Repeatedly communicate",
    ),
];

const DATAGRAM_CLIENT: &Steps = &[
    (&[Act::Create], "Client 1. Create a UDP socket"),
    (&[Act::Bind], "Client 2. Assign a port to the socket"),
    (&[Act::Receive, Act::Send], "Client 3. Communicate"),
    (&[Act::Close], "Client 4. Close the socket"),
];

/// The programs that follow other slides: the words of their own comments.
const OWN: [(&str, &Steps); 5] = [
    (
        "tcp_upper_server",
        &[
            (&[Act::Create], "Server 1. Create the welcoming socket"),
            (&[Act::Bind], "Server 2. Bind it to the server's port"),
            (&[Act::Listen], "Server 3. Listen for clients that knock"),
            (&[Act::Accept], "Server 4a. Accept a client"),
            (
                &[Act::Receive, Act::Send],
                "Server 4b. Answer its sentences",
            ),
            (&[Act::Close], "Server 4c. Close the connection"),
        ],
    ),
    (
        "tcp_upper_client",
        &[
            (&[Act::Create], "Client 1. Create a TCP socket"),
            (&[Act::Connect], "Client 2. Connect it to the server"),
            (
                &[Act::Receive, Act::Send, Act::Watch],
                "Client 3. Send a sentence, receive it in upper case",
            ),
            (&[Act::Close], "Client 4. Close the connection"),
        ],
    ),
    (
        "udp_upper_server",
        &[
            (&[Act::Create], "Server 1. Create a UDP socket"),
            (&[Act::Bind], "Server 2. Bind it to the server's port"),
            (
                &[Act::Receive],
                "Server 3a. Receive a message, and the address it came from",
            ),
            (&[Act::Send], "Server 3b. Send it back in upper case"),
        ],
    ),
    (
        "udp_upper_client",
        &[
            (&[Act::Create], "Client 1. Create a UDP socket"),
            (
                &[Act::Send],
                "Client 2. Send a message to the server's address",
            ),
            (&[Act::Receive], "Client 3. Receive it in upper case"),
            (&[Act::Close], "Client 4. Close the socket"),
        ],
    ),
    (
        "web_server",
        &[
            (
                &[Act::Create, Act::Bind, Act::Listen],
                "Server. A socket that listens",
            ),
            (&[Act::Accept], "Server 1. Accept the connection"),
            (&[Act::Receive], "Server 2. Read and parse the request"),
            // The third step makes no call, and the fourth no call on a socket.
            (
                &[Act::Open],
                "Server 4. Determine whether the request is authorised",
            ),
            (&[Act::Send], "Server 5. Generate and transmit the response"),
            (&[Act::Shut, Act::Close], "Server. Close the connection"),
        ],
    ),
];

fn step_in(steps: &Steps, act: Act) -> Option<&'static str> {
    let mut steps = steps.iter();
    steps
        .find(|(acts, _)| acts.contains(&act))
        .map(|&(_, step)| step)
}

/// The step at which a server makes a process or a thread: for the client just accepted, or in
/// advance.
fn step_of_a_new_one(shares_descriptors: bool, for_a_client: bool) -> &'static str {
    match (shares_descriptors, for_a_client) {
        (false, true) => "Server 4b. Communicate: a new process",
        (true, true) => "Server 4b. Communicate: a new thread",
        (false, false) => "Server. Processes made beforehand",
        (true, false) => "Server. Threads made beforehand",
    }
}

/// Finds the steps of one side, event by event.
#[derive(Default)]
pub struct Headings {
    /// The program's own steps, if it has them.
    own: Option<&'static Steps>,
    /// The steps of its last event.
    last: Option<&'static Steps>,
    /// A socket has been made.
    begun: bool,
}

impl Headings {
    /// The step of the side's next event, if it has one.
    pub fn of(&mut self, world: &World, event: &Event) -> Option<Step> {
        let call = event.call()?;
        let row = calls::of(&call.name)?;
        let task = world.task(event.task);
        if row.does == Does::BecomesProgram && !self.begun && !call.failed() {
            let program = task.program.as_deref().unwrap_or_default();
            let mut own = OWN.iter();
            self.own = own
                .find(|(name, _)| *name == program)
                .map(|&(_, steps)| steps);
        }
        let socket = event.socket.and_then(|id| world.socket(id));
        self.begun |= socket.is_some_and(|socket| !socket.is_the_systems());
        if !self.begun {
            return None;
        }
        if let (Made::Task(made), Side::Server, None) = (event.made, event.side, self.own) {
            let accepted = |(_, socket): (i32, &Socket)| socket.accepted;
            let for_a_client = world.descriptors(event.task).any(accepted);
            return Some(step_of_a_new_one(world.task(made).thread, for_a_client).into());
        }
        let act = Act::of(call)?;
        if act == Act::Open {
            return step_in(self.own?, act).map(Cow::Borrowed);
        }
        let by_nature = match socket {
            Some(socket) if socket.paired || socket.is_the_systems() => return None,
            Some(socket) if socket.has_listened() && act == Act::Close => return None, // not the end of a connection
            Some(socket) => socket.is_connected_by_nature(),
            None if act == Act::Watch && event.on_a_socket => true,
            None if event.on_a_socket => true, // no descriptor was returned
            None => return None,
        };
        let steps = match (self.own, event.side, by_nature) {
            (Some(own), _, _) => own,
            (_, Side::Server, true) => STREAM_SERVER,
            (_, Side::Client, true) => STREAM_CLIENT,
            (_, Side::Server, false) => DATAGRAM_SERVER,
            (_, Side::Client, false) => DATAGRAM_CLIENT,
        };
        self.last = Some(steps);
        // After a shutdown, all calls belong to the closing step.
        let shut = |ended: EventId| ended < event.id;
        let closing = socket.is_some_and(|socket| socket.ended.is_some_and(|(_, by)| shut(by)));
        let step = match step_in(steps, Act::Shut).filter(|_| closing) {
            Some(step) => step,
            None => step_in(steps, act)?,
        };
        Some(socket.map_or(Cow::Borrowed(step), |socket| named(step, socket)))
    }

    /// All steps of the program, if they are known.
    pub fn all(&self) -> Vec<&'static str> {
        let steps = self.own.or(self.last).unwrap_or_default();
        steps.iter().map(|(_, heading)| *heading).collect()
    }

    /// Whether the program has steps of its own.
    pub fn are_its_own(&self) -> bool {
        self.own.is_some()
    }

    pub fn have_begun(&self) -> bool {
        self.begun
    }
}

/// A heading of the deck's, which speaks of TCP and UDP, for any kind of socket.
fn named(step: &'static str, socket: &Socket) -> Step {
    let name = socket.name();
    let of_unix = matches!(socket.family.as_str(), "AF_UNIX" | "AF_LOCAL");
    if let Some((before, after)) = step
        .split_once("Create a TCP")
        .or(step.split_once("Create a UDP"))
    {
        return match (socket.kind, name) {
            (Kind::Stream, "TCP") | (Kind::Datagram, "UDP") => step.into(),
            _ => format!("{before}Create a {name}{after}").into(),
        };
    }
    if of_unix && step.contains("Assign a port") {
        return step.replace("a port", "a path").into();
    }
    step.into()
}

/// The sockets of one side, for code that follows only that side's calls.
#[derive(Default)]
pub struct Sockets(World);

impl Sockets {
    /// Takes the next call, and returns whether it is on a socket; if so, whether the socket is a
    /// stream.
    pub fn follow(&mut self, pid: Option<u32>, call: &Arc<Call>) -> Option<bool> {
        let (start, what) = (None, What::Call(Arc::clone(call)));
        self.0.take(
            0,
            Side::Server,
            Entry {
                pid,
                start,
                until: None,
                what,
            },
        );
        let event = self.0.next(u64::MAX)?;
        Some(self.0.socket(event.socket?)?.is_connected_by_nature())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A program, its steps, and the other files with its comments.
    fn programs() -> Vec<(&'static str, &'static Steps, &'static [&'static str])> {
        let mut programs: Vec<(_, _, &[&str])> = vec![
            ("tcp_echo_server", STREAM_SERVER, &[]),
            ("tcp_echo_client", STREAM_CLIENT, &[]),
            ("udp_echo_server", DATAGRAM_SERVER, &[]),
            ("udp_echo_client", DATAGRAM_CLIENT, &[]),
            ("web_client", STREAM_CLIENT, &[]),
        ];
        for kind in [
            "fork", "thread", "prefork", "pool", "select", "poll", "epoll",
        ] {
            let name = format!("tcp_echo_server_{kind}").leak();
            programs.push((name, STREAM_SERVER, &["common/echo.rs", "common/echo.h"]));
        }
        programs.extend(OWN.map(|(name, steps)| (name, steps, &[][..])));
        programs
    }

    /// The lines of a source file that have comments, in lower case.
    fn comments(file: &str) -> String {
        let path = format!("{}/src/bin/{file}", env!("CARGO_MANIFEST_DIR"));
        let source = fs::read_to_string(path).expect("it is there");
        let lines = source.lines().filter(|line| {
            line.contains("//") || line.contains("/*") || line.trim_start().starts_with("* ")
        });
        lines.collect::<Vec<_>>().join("\n").to_lowercase()
    }

    #[test]
    fn each_heading_stands_in_its_programs_comments() {
        for (program, steps, others) in programs() {
            for language in ["rs", "c"] {
                let shared: String = others.iter().map(|file| comments(file)).collect();
                let comments = shared + &comments(&format!("{program}.{language}"));
                for (_, heading) in steps {
                    let (number, words) = heading.split_once(". ").expect("it has a number");
                    let number = number.trim_start_matches(|c: char| !c.is_ascii_digit());
                    let letter = number.trim_start_matches(|c: char| c.is_ascii_digit());
                    let step = match (number, letter) {
                        ("", _) => words.to_owned(), // not on the slide
                        (_, "") => format!("{number}. {words}"),
                        _ => format!("{letter}. {words}"),
                    };
                    assert!(
                        comments.contains(&step.to_lowercase()),
                        "{program}.{language} has no step {step:?}"
                    );
                }
            }
        }
    }
}
