//! What each call does with sockets and tasks: one table, with one row for each call. All other
//! code asks here; a new call is a new row.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::strace::call::Call;
use crate::strace::text::bytes;

/// One call. Numbers are places among its arguments, from 0 on.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// C's name, if it differs.
    pub in_c: &'static str,
    /// The descriptor that it is on.
    pub on: Option<usize>,
    /// Only a socket can have it: it proves that the descriptor is a socket, even if its creation
    /// was not seen.
    pub proves: bool,
    pub does: Does,
    pub sends: Option<Data>,
    pub receives: Option<Data>,
    /// An address. Its length follows it.
    pub address: Option<usize>,
    pub flags: Option<usize>,
    /// What it may wait for.
    pub waits: Option<For>,
    /// An argument that the picture leaves out.
    pub mute: Option<usize>,
}

/// What a call makes, takes away or changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Does {
    /// None of these: it moves data, or asks.
    Neither,
    MakesSocket,
    /// Two sockets that are each other's peers, in an array at this place.
    MakesPair(usize),
    Binds,
    Listens,
    Accepts,
    Connects,
    /// Ends one direction, or both.
    Shuts,
    Closes,
    /// Closes from the first argument to the second.
    ClosesRange,
    /// The result is a duplicate of the descriptor.
    Duplicates,
    /// fcntl, which may duplicate or set close-on-exec.
    Controls,
    /// The result duplicates another process's descriptor.
    Fetches,
    SetsOption,
    GetsOption,
    /// Returns the local address, or (`true`) the peer's.
    Names(bool),
    /// The result is the descriptor of a file.
    OpensFile,
    /// The result is a descriptor of another kind, not a socket.
    OpensAnother,
    /// Two descriptors that are not sockets, in an array at this place.
    OpensPipe(usize),
    /// It makes a process or a thread.
    MakesTask,
    /// The result is the process that has ended.
    ReapsTask,
    BecomesProgram,
    /// Its process, or its thread, ends.
    Exits,
    /// Gets its own descriptor table.
    Unshares,
    /// Waits for several descriptors, or changes which.
    Watches(By),
    /// Gives the kernel calls that strace does not see.
    Rings,
}

/// How a call names several descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    /// One more than the highest, then sets: `4, [3], NULL, NULL`
    Sets,
    /// `[{fd=3, events=POLLIN}]`
    Array,
    /// The descriptor of a set in the kernel, or (`Change`) also a descriptor in that set.
    Epoll,
    Change,
}

/// The place of a call's data.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// The descriptor.
    pub on: usize,
    pub place: Place,
    /// The number of bytes requested; without such an argument, the lengths of the vectors.
    pub asked: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `"hello"`
    Buffer(usize),
    /// `[{iov_base="hello", iov_len=5}]`
    Vector(usize),
    /// `{msg_name=..., msg_iov=[{iov_base="hello", iov_len=5}], ...}`
    Message(usize),
    /// Several of these, each one datagram: `[{msg_hdr={...}, msg_len=5}, ...]`
    Messages(usize),
    /// From or to the descriptor at this place: strace does not show these bytes.
    Unseen(usize),
}

/// The event that a call waits for if it does not return at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum For {
    /// The peer: for bytes, for room, for an answer.
    Peer,
    /// Any client, or any of several descriptors.
    Anybody,
    /// A child's end.
    Child,
    /// Another task of the same program.
    Task,
    Signal,
    Time,
}

const fn row(name: &'static str) -> Row {
    Row {
        name,
        in_c: name,
        on: None,
        proves: false,
        does: Does::Neither,
        sends: None,
        receives: None,
        address: None,
        flags: None,
        waits: None,
        mute: None,
    }
}

/// A call that only a socket can have.
const fn socket_call(name: &'static str) -> Row {
    let mut row = row(name).on(0);
    row.proves = true;
    row
}

impl Row {
    const fn in_c(mut self, name: &'static str) -> Row {
        self.in_c = name;
        self
    }

    const fn on(mut self, descriptor: usize) -> Row {
        self.on = Some(descriptor);
        self
    }

    const fn does(mut self, does: Does) -> Row {
        self.does = does;
        self
    }

    const fn sends(mut self, on: usize, place: Place, asked: Option<usize>) -> Row {
        self.sends = Some(Data { on, place, asked });
        self.waits = Some(For::Peer);
        self
    }

    const fn receives(mut self, on: usize, place: Place, asked: Option<usize>) -> Row {
        self.receives = Some(Data { on, place, asked });
        self.waits = Some(For::Peer);
        self
    }

    const fn address(mut self, address: usize) -> Row {
        self.address = Some(address);
        self
    }

    const fn flags(mut self, flags: usize) -> Row {
        self.flags = Some(flags);
        self
    }

    const fn waits(mut self, waits: For) -> Row {
        self.waits = Some(waits);
        self
    }

    const fn mute(mut self, mute: usize) -> Row {
        self.mute = Some(mute);
        self
    }
}

use Place::{Buffer, Message, Messages, Unseen, Vector};

const CALLS: &[Row] = &[
    // A socket's life.
    row("socket").does(Does::MakesSocket),
    row("socketpair").does(Does::MakesPair(3)),
    socket_call("bind").does(Does::Binds).address(1),
    socket_call("listen").does(Does::Listens),
    socket_call("accept")
        .does(Does::Accepts)
        .address(1)
        .waits(For::Anybody),
    socket_call("accept4")
        .in_c("accept")
        .does(Does::Accepts)
        .address(1)
        .flags(3)
        .waits(For::Anybody),
    socket_call("connect")
        .does(Does::Connects)
        .address(1)
        .waits(For::Peer),
    socket_call("shutdown").does(Does::Shuts),
    socket_call("setsockopt").does(Does::SetsOption),
    socket_call("getsockopt").does(Does::GetsOption),
    socket_call("getsockname")
        .does(Does::Names(false))
        .address(1),
    socket_call("getpeername")
        .does(Does::Names(true))
        .address(1),
    // Data. On a socket or another descriptor, unless the row says that only a socket can have it.
    socket_call("send").sends(0, Buffer(1), Some(2)).flags(3),
    socket_call("recv").receives(0, Buffer(1), Some(2)).flags(3),
    socket_call("sendto")
        .in_c("send")
        .sends(0, Buffer(1), Some(2))
        .flags(3)
        .address(4),
    socket_call("recvfrom")
        .in_c("recv")
        .receives(0, Buffer(1), Some(2))
        .flags(3)
        .address(4),
    socket_call("sendmsg").sends(0, Message(1), None).flags(2),
    socket_call("recvmsg")
        .receives(0, Message(1), None)
        .flags(2),
    socket_call("sendmmsg").sends(0, Messages(1), None).flags(3),
    socket_call("recvmmsg")
        .receives(0, Messages(1), None)
        .flags(3),
    row("write").on(0).sends(0, Buffer(1), Some(2)),
    row("read").on(0).receives(0, Buffer(1), Some(2)),
    row("writev").on(0).sends(0, Vector(1), None),
    row("readv").on(0).receives(0, Vector(1), None),
    row("pwritev2").on(0).sends(0, Vector(1), None),
    row("preadv2").on(0).receives(0, Vector(1), None),
    row("sendfile").on(0).sends(0, Unseen(1), Some(3)),
    row("sendfile64")
        .in_c("sendfile")
        .on(0)
        .sends(0, Unseen(1), Some(3)),
    row("splice")
        .on(0)
        .receives(0, Unseen(2), Some(4))
        .sends(2, Unseen(0), Some(4)),
    // Descriptors.
    row("close").on(0).does(Does::Closes),
    row("close_range").does(Does::ClosesRange),
    row("dup").on(0).does(Does::Duplicates),
    row("dup2").on(0).does(Does::Duplicates),
    row("dup3").on(0).does(Does::Duplicates),
    row("fcntl").on(0).does(Does::Controls),
    row("fcntl64").in_c("fcntl").on(0).does(Does::Controls),
    row("ioctl").on(0),
    row("pidfd_getfd").does(Does::Fetches),
    row("open").does(Does::OpensFile),
    row("openat").does(Does::OpensFile),
    row("openat2").does(Does::OpensFile),
    row("creat").does(Does::OpensFile),
    row("pipe").does(Does::OpensPipe(0)),
    row("pipe2").does(Does::OpensPipe(0)),
    row("eventfd").does(Does::OpensAnother),
    row("eventfd2").does(Does::OpensAnother),
    row("timerfd_create").does(Does::OpensAnother),
    row("signalfd").does(Does::OpensAnother),
    row("signalfd4").does(Does::OpensAnother),
    row("memfd_create").does(Does::OpensAnother),
    row("inotify_init").does(Does::OpensAnother),
    row("inotify_init1").does(Does::OpensAnother),
    row("pidfd_open").does(Does::OpensAnother),
    row("perf_event_open").does(Does::OpensAnother),
    row("userfaultfd").does(Does::OpensAnother),
    row("bpf").does(Does::OpensAnother),
    // Several descriptors.
    row("select")
        .does(Does::Watches(By::Sets))
        .waits(For::Anybody),
    row("_newselect")
        .in_c("select")
        .does(Does::Watches(By::Sets))
        .waits(For::Anybody),
    row("pselect6")
        .in_c("select")
        .does(Does::Watches(By::Sets))
        .waits(For::Anybody),
    row("poll")
        .does(Does::Watches(By::Array))
        .waits(For::Anybody),
    row("ppoll")
        .in_c("poll")
        .does(Does::Watches(By::Array))
        .waits(For::Anybody),
    row("epoll_create").does(Does::OpensAnother),
    row("epoll_create1").does(Does::OpensAnother),
    row("epoll_ctl").does(Does::Watches(By::Change)),
    row("epoll_wait")
        .does(Does::Watches(By::Epoll))
        .waits(For::Anybody),
    row("epoll_pwait")
        .in_c("epoll_wait")
        .does(Does::Watches(By::Epoll))
        .waits(For::Anybody),
    row("epoll_pwait2")
        .in_c("epoll_wait")
        .does(Does::Watches(By::Epoll))
        .waits(For::Anybody),
    row("io_uring_setup").does(Does::Rings),
    row("io_uring_enter").does(Does::Rings).waits(For::Anybody),
    row("io_uring_register").does(Does::Rings),
    // Tasks.
    row("fork").does(Does::MakesTask),
    row("vfork").in_c("fork").does(Does::MakesTask),
    row("clone").in_c("fork").does(Does::MakesTask),
    row("clone2").in_c("fork").does(Does::MakesTask),
    row("clone3").in_c("fork").does(Does::MakesTask),
    row("unshare").does(Does::Unshares),
    row("execve").does(Does::BecomesProgram),
    row("execveat").does(Does::BecomesProgram),
    row("exit").does(Does::Exits),
    row("exit_group").does(Does::Exits),
    row("wait4")
        .in_c("wait")
        .does(Does::ReapsTask)
        .waits(For::Child)
        .mute(3),
    row("waitpid")
        .in_c("wait")
        .does(Does::ReapsTask)
        .waits(For::Child),
    row("waitid")
        .in_c("wait")
        .does(Does::ReapsTask)
        .waits(For::Child),
    row("futex").waits(For::Task),
    row("futex_wait").waits(For::Task),
    row("futex_waitv").waits(For::Task),
    row("pause").waits(For::Signal),
    row("rt_sigsuspend").waits(For::Signal),
    row("rt_sigtimedwait").waits(For::Signal),
    row("nanosleep").waits(For::Time),
    row("clock_nanosleep").waits(For::Time),
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Row>> =
    LazyLock::new(|| CALLS.iter().map(|row| (row.name, row)).collect());

/// What 32-bit programs call is the same with a wider time: `ppoll_time64`.
pub const WIDE: &str = "_time64";

/// The row of a call, if it has one.
pub fn of(name: &str) -> Option<&'static Row> {
    let plain = name.strip_suffix(WIDE).unwrap_or(name);
    BY_NAME.get(plain).copied()
}

/// All calls in the table.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    CALLS.iter()
}

/// What a call does, if it is in the table.
pub fn does(name: &str) -> Does {
    of(name).map_or(Does::Neither, |row| row.does)
}

/// The kernel's calls that C calls alike: of `accept` also `accept4`.
pub fn alike(name: &str) -> Vec<&'static str> {
    let in_c = of(name).map_or(name, |row| row.in_c);
    let rows = CALLS.iter().filter(|row| row.in_c == in_c);
    rows.map(|row| row.name).collect()
}

/// Whether a call may write the bytes in its arguments to any descriptor, a terminal's too.
pub fn writes(name: &str) -> bool {
    let row = of(name).filter(|row| !row.proves);
    let data = row.and_then(|row| row.sends);
    data.is_some_and(|data| !matches!(data.place, Unseen(_)))
}

/// The event that a call waits for if it does not return at once.
pub fn waits(name: &str) -> Option<For> {
    of(name).and_then(|row| row.waits)
}

/// Whether a call waits for one of several descriptors.
pub fn waits_for_several(name: &str) -> bool {
    of(name).is_some_and(|row| matches!(row.does, Does::Watches(_)) && row.waits.is_some())
}

/// Whether a task in this call is idle: it waits for a new client, for a child, for another task or
/// for a signal. A receive does not count: it waits for a connected peer.
pub fn is_idle(name: &str) -> bool {
    matches!(
        waits(name),
        Some(For::Anybody | For::Child | For::Task | For::Signal)
    )
}

/// Whether a call makes a process or a thread; if so, whether that shares its maker's descriptors.
pub fn makes_task(call: &Call) -> Option<bool> {
    (does(&call.name) == Does::MakesTask).then(|| has_flag(call, "CLONE_FILES"))
}

/// The process or thread that a call has made, and whether it shares its maker's descriptors.
pub fn made_task(call: &Call) -> Option<(u32, bool)> {
    let shares = makes_task(call)?;
    Some((task_of(call)?, shares))
}

/// The process or thread in a call's result, by strace's number if the program's differs.
pub fn task_of(call: &Call) -> Option<u32> {
    let other = call
        .note
        .strip_prefix("/* ")
        .and_then(|note| note.split_once(" in strace's PID NS"));
    let number = match other {
        Some((number, _)) => number.parse().ok()?,
        None => u32::try_from(number(&call.result)?).ok()?,
    };
    (number > 0).then_some(number)
}

pub fn has_flag(call: &Call, flag: &str) -> bool {
    call.args.iter().any(|arg| {
        arg.split(|c: char| !is_in_a_name(c))
            .any(|word| word == flag)
    })
}

fn is_in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The number that an argument or a result begins with: `3` of `3<TCP:[127.0.0.1:1->127.0.0.1:2]>`, also `-1`.
pub fn number(arg: &str) -> Option<i64> {
    let digits = arg.strip_prefix('-').unwrap_or(arg);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    if !matches!(digits[end..].bytes().next(), None | Some(b'<' | b' ')) {
        return None;
    }
    arg[..arg.len() - digits.len() + end].parse().ok()
}

/// The descriptor that an argument or a result is.
pub fn descriptor(arg: &str) -> Option<i32> {
    number(arg)
        .and_then(|number| i32::try_from(number).ok())
        .filter(|&descriptor| descriptor >= 0)
}

/// The data that a call has moved: all of it, or one of several messages.
#[derive(Debug, Default)]
pub struct Parcel {
    /// How many bytes have moved.
    pub length: u64,
    /// The number requested, or the room for them.
    pub asked: Option<u64>,
    /// The bytes in the program's pieces, each with whether strace has cut it.
    pub pieces: Vec<(Vec<u8>, bool)>,
    /// The address, in strace's form.
    pub address: Option<String>,
    /// The descriptors that are passed with it (`SCM_RIGHTS`).
    pub rights: Vec<i32>,
    /// The message was longer (`MSG_TRUNC`).
    pub cut: bool,
}

impl Data {
    /// The data that a call has moved; empty if it failed.
    pub fn parcels(self, row: &Row, call: &Call) -> Vec<Parcel> {
        let Some(result) = number(&call.result).and_then(|n| u64::try_from(n).ok()) else {
            return Vec::new();
        };
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        match self.place {
            Buffer(at) => vec![Parcel {
                length: result,
                asked: self.asked(call),
                pieces: bytes(arg(at)).into_iter().collect(),
                address: row.address.map(|at| arg(at).to_owned()),
                ..Parcel::default()
            }],
            // The available amount is not known: the program may ask for more than a file has.
            Unseen(_) => vec![Parcel {
                length: result,
                asked: None,
                ..Parcel::default()
            }],
            Vector(at) => vec![vector(arg(at), result)],
            Message(at) => vec![message(arg(at), result)],
            Messages(at) => {
                let count = usize::try_from(result).unwrap_or(0);
                let moved = items(arg(at)).into_iter().take(count);
                moved
                    .map(|item| {
                        let length = field(item, "msg_len").and_then(number);
                        let length = length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                        message(field(item, "msg_hdr").unwrap_or(""), length)
                    })
                    .collect()
            }
        }
    }

    /// How many bytes a call asked to move.
    pub fn asked(self, call: &Call) -> Option<u64> {
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        match (self.asked, self.place) {
            (Some(at), _) => u64::try_from(number(arg(at))?).ok(),
            (None, Vector(at)) => vector(arg(at), 0).asked,
            (None, Message(at)) => message(arg(at), 0).asked,
            _ => None,
        }
    }
}

fn vector(text: &str, length: u64) -> Parcel {
    let items = items(text);
    let asked = items.iter().map(|item| {
        let length = field(item, "iov_len").and_then(number)?;
        u64::try_from(length).ok()
    });
    Parcel {
        length,
        asked: asked.sum(),
        pieces: items
            .iter()
            .filter_map(|item| bytes(field(item, "iov_base")?))
            .collect(),
        ..Parcel::default()
    }
}

fn message(text: &str, length: u64) -> Parcel {
    let controls = items(field(text, "msg_control").unwrap_or(""));
    let rights = controls
        .iter()
        .filter(|control| field(control, "cmsg_type") == Some("SCM_RIGHTS"))
        .flat_map(|control| items(field(control, "cmsg_data").unwrap_or("")))
        .filter_map(descriptor);
    Parcel {
        address: field(text, "msg_name").map(str::to_owned),
        rights: rights.collect(),
        cut: field(text, "msg_flags")
            .is_some_and(|flags| flags.split('|').any(|flag| flag == "MSG_TRUNC")),
        ..vector(field(text, "msg_iov").unwrap_or(""), length)
    }
}

/// The items of `[a, b]` or `{a, b}`; otherwise none.
pub fn items(text: &str) -> Vec<&str> {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .or_else(|| {
            text.strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'))
        });
    let Some(inside) = inside.filter(|inside| !inside.is_empty()) else {
        return Vec::new();
    };
    let (mut items, mut depth, mut from) = (Vec::new(), 0, 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b',' if depth == 0 => {
                items.push(inside[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    items.push(inside[from..].trim());
    items
}

/// The value of a field of `{name=value, ...}`.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    items(text)
        .into_iter()
        .find_map(|item| item.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, args: &[&str], result: &str) -> Call {
        Call {
            name: name.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            result: result.to_owned(),
            ..Call::default()
        }
    }

    #[test]
    fn each_call_has_one_row() {
        assert_eq!(BY_NAME.len(), CALLS.len());
        assert!(waits_for_several("ppoll_time64") && of("time64").is_none());
    }

    #[test]
    fn a_messages_bytes_address_and_rights_are_found() {
        let text = r#"{msg_name={sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}, msg_namelen=16, msg_iov=[{iov_base="a, \"]b", iov_len=5}, {iov_base="c"..., iov_len=6}], msg_iovlen=2, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[4, 7]}], msg_controllen=24, msg_flags=MSG_TRUNC}"#;
        let call = call("recvmsg", &["3", text, "0"], "6");
        let row = of("recvmsg").unwrap();
        let parcels = row.receives.unwrap().parcels(row, &call);
        let [parcel] = &parcels[..] else {
            panic!("{parcels:?}")
        };
        assert_eq!(
            (parcel.length, parcel.asked, parcel.cut),
            (6, Some(11), true)
        );
        assert_eq!(
            parcel.pieces,
            [(b"a, \"]b".to_vec(), false), (b"c".to_vec(), true)]
        );
        assert_eq!(parcel.rights, [4, 7]);
        assert!(parcel.address.as_ref().unwrap().contains("htons(1)"));
    }

    #[test]
    fn of_several_messages_each_has_its_length() {
        let text = r#"[{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=5}, {msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=" world", iov_len=6}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=6}]"#;
        let call = call("sendmmsg", &["3", text, "2", "0"], "2");
        let row = of("sendmmsg").unwrap();
        let parcels = row.sends.unwrap().parcels(row, &call);
        let lengths: Vec<u64> = parcels.iter().map(|parcel| parcel.length).collect();
        assert_eq!(lengths, [5, 6]);
        assert_eq!(parcels[1].pieces, [(b" world".to_vec(), false)]);
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(number("3"), Some(3));
        assert_eq!(number("-1"), Some(-1));
        assert_eq!(
            (number("0x3"), number("?"), number("AF_INET")),
            (None, None, None)
        );
    }
}
