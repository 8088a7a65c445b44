//! What each call changes: the world before it becomes the world after it. A call that failed changes nothing.

use crate::strace::calls::{
    self, By, Data, Does, Parcel, Row, descriptor, field, has_flag, items, number,
};
use crate::strace::line::{Call, What};
use crate::world::causes::Held;
use crate::world::descriptors::{Open, Table, TableId, Thing};
use crate::world::events::{End, Event, Made, Moved, Movement};
use crate::world::sockets::{Address, Kind, Socket, SocketId, State};
use crate::world::streams::Direction;
use crate::world::tasks::{Task, TaskId, program_of};
use crate::world::{KEPT, Side, World};

impl World {
    /// Applies an entry to the world.
    pub(super) fn happen(&mut self, held: Held) -> Event {
        let Held {
            source,
            side,
            entry,
            ..
        } = held;
        let task = self.task_for(source, side, entry.pid);
        let took = match &entry.what {
            What::Call(call) => call.took,
            _ => None,
        };
        let mut event = Event {
            id: self.next_event(),
            side,
            source,
            task,
            entered: entry.start,
            left: entry.start.map(|start| match (took, entry.until) {
                (None, Some(until)) => until.max(start),
                (took, _) => start + took.unwrap_or_default(),
            }),
            what: entry.what,
            socket: None,
            on_a_socket: false,
            moved: Vec::new(),
            made: Made::Nothing,
            causes: Vec::new(),
        };
        let what = std::mem::replace(&mut event.what, What::Unknown(String::new()));
        match &what {
            What::Call(call) => self.call(&mut event, call),
            What::End(_) => self.leave(&mut event),
            What::Signal(_) | What::Unknown(_) => {}
        }
        event.what = what;
        event.causes.sort_unstable();
        event.causes.dedup();
        event
    }

    // ---- Tasks ----

    /// The task with this number in a source. A task whose making was not seen starts with the
    /// descriptors of the source's first task, and shares its table if it looks like a thread.
    fn task_for(&mut self, source: usize, side: Side, pid: Option<u32>) -> TaskId {
        if let Some(&task) = self.by_pid.get(&(source, pid)) {
            let known = &mut self.tasks[task.0];
            known.side = side;
            if !known.ended {
                return task;
            }
        }
        let first = self
            .tasks
            .iter()
            .find(|task| task.source == source && !task.ended);
        let Some((first, key)) = first.map(|task| (task.id, (source, task.pid))) else {
            return self.new_task(source, side, pid, None, false);
        };
        // The maker of a process closes the socket that it has accepted for it; a thread closes it
        // for both.
        let table = self.tables.get(&self.tasks[first.0].table);
        let open = table.into_iter().flat_map(|table| &table.open);
        let shares = open.into_iter().any(|(&number, open)| {
            matches!(open.thing, Thing::Socket(id) if self.socket(id).is_some_and(|it| it.accepted))
                && self.queue.uses((source, pid), number, |_| true)
                && !self.queue.uses(key, number, |row| row.does == Does::Closes)
        });
        self.foundlings += 1;
        self.new_task(source, side, pid, Some(first), shares)
    }

    /// A task is about to close a socket: another task that uses it must have its own descriptor.
    fn leave_to_foundlings(&mut self, number: i32, event: &Event) {
        let Some(Thing::Socket(id)) = self.thing(event.task, number) else {
            return;
        };
        let one = self.socket(id).is_some_and(|socket| socket.accepted);
        let known = |key| self.by_pid.contains_key(&key);
        let mut heirs = self.queue.foundlings(event.source, known);
        heirs.retain(|&key| self.queue.uses(key, number, |_| true));
        for (source, pid) in heirs.into_iter().take(if one { 1 } else { usize::MAX }) {
            self.foundlings += 1;
            self.new_task(source, event.side, pid, Some(event.task), false);
        }
    }

    fn new_task(
        &mut self,
        source: usize,
        side: Side,
        pid: Option<u32>,
        parent: Option<TaskId>,
        shares: bool,
    ) -> TaskId {
        let of_parent = parent.map(|parent| self.tasks[parent.0].table);
        let table = match of_parent {
            Some(table) if shares => table,
            Some(table) => self.copy_of(table),
            None => self.new_table(Table::default()),
        };
        self.tables.entry(table).or_default().users += 1;
        let id = TaskId(self.tasks.len());
        self.tasks.push(Task {
            id,
            side,
            source,
            pid,
            parent,
            thread: shares,
            program: None,
            ended: false,
            table,
        });
        self.by_pid.insert((source, pid), id);
        id
    }

    /// A task's end, and its descriptors' end if it was the last with this table.
    fn leave(&mut self, event: &mut Event) {
        let task = &mut self.tasks[event.task.0];
        if std::mem::replace(&mut task.ended, true) {
            return;
        }
        let table = task.table;
        self.give_up(table, event);
    }

    // ---- Tables ----

    fn new_table(&mut self, table: Table) -> TableId {
        let id = TableId(self.number());
        self.tables.insert(id, table);
        id
    }

    fn copy_of(&mut self, table: TableId) -> TableId {
        let open = self.tables.get(&table).map(|table| table.open.clone());
        let copy = Table {
            open: open.unwrap_or_default(),
            ..Table::default()
        };
        for id in copy.sockets() {
            self.refer(id);
        }
        self.new_table(copy)
    }

    /// The table has one task less.
    fn give_up(&mut self, table: TableId, event: &mut Event) {
        let Some(left) = self.tables.get_mut(&table) else {
            return;
        };
        left.users = left.users.saturating_sub(1);
        if left.users > 0 {
            return;
        }
        let Some(table) = self.tables.remove(&table) else {
            return;
        };
        let mut sockets: Vec<(i32, SocketId)> = table
            .open
            .iter()
            .filter_map(|(&number, _)| Some((number, table.socket(number)?)))
            .collect();
        sockets.sort_unstable();
        for (_, socket) in sockets {
            self.forget_one(socket, event);
        }
    }

    fn table(&mut self, task: TaskId) -> &mut Table {
        let table = self.tasks[task.0].table;
        self.tables.entry(table).or_default()
    }

    fn thing(&self, task: TaskId, number: i32) -> Option<Thing> {
        let table = self.tables.get(&self.tasks[task.0].table)?;
        table.open.get(&number).map(|open| open.thing)
    }

    /// Lets a number refer to this from now on. The previous object has one descriptor less.
    fn install(&mut self, number: i32, open: Open, event: &mut Event) {
        if let Thing::Socket(id) = open.thing {
            self.refer(id);
        }
        let table = self.table(event.task);
        table.was.remove(&number);
        if let Some(before) = table.open.insert(number, open) {
            if let Thing::Socket(id) = before.thing {
                self.forget_one(id, event);
            }
        }
    }

    fn close(&mut self, number: i32, event: &mut Event) {
        let table = self.table(event.task);
        let Some(open) = table.open.remove(&number) else {
            return;
        };
        if let Thing::Socket(id) = open.thing {
            table.was.insert(number, id);
            self.forget_one(id, event);
        }
    }

    fn refer(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.references += 1;
        }
    }

    /// One descriptor of a socket less; with the last one it is closed.
    fn forget_one(&mut self, id: SocketId, event: &mut Event) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.references = socket.references.saturating_sub(1);
        if socket.references > 0 {
            return;
        }
        self.last_close(id, event);
        self.closed.push_back(id);
        while self.closed.len() > KEPT {
            if let Some(old) = self.closed.pop_front() {
                self.sockets.remove(&old);
            }
        }
    }

    // ---- Sockets ----

    fn new_socket(&mut self, side: Side, family: &str, kind: Kind) -> SocketId {
        let id = SocketId(self.number());
        self.sockets.insert(id, Socket::new(id, side, family, kind));
        id
    }

    /// The socket that an argument of a call names. If its creation was not seen, the call or
    /// strace's annotation may prove it.
    fn socket_at(
        &mut self,
        at: usize,
        row: &Row,
        call: &Call,
        event: &mut Event,
    ) -> Option<SocketId> {
        let arg = call.args.get(at)?;
        let number = descriptor(arg)?;
        let error = call.note.split(' ').next().unwrap_or_default();
        if call.failed() && error == "EBADF" {
            return self.table(event.task).was.get(&number).copied();
        }
        let said = call.annotation(Some(at)).map(Said::of);
        match (self.thing(event.task, number), &said) {
            (_, Some(Said::Another)) => {
                if self.thing(event.task, number).is_none() {
                    let thing = Thing::Another;
                    self.install(
                        number,
                        Open {
                            thing,
                            close_on_exec: false,
                        },
                        event,
                    );
                }
                return None;
            }
            (Some(Thing::Socket(id)), _) => {
                if let (Some(Said::Socket { local, remote, .. }), Some(socket)) =
                    (said, self.sockets.get_mut(&id))
                {
                    socket.local = local.or(socket.local.take());
                    socket.remote = remote.or(socket.remote.take());
                }
                return Some(id);
            }
            (_, Some(Said::Socket { .. })) => {}
            _ if !row.proves || error == "ENOTSOCK" => return None,
            _ => {}
        }
        let address = row.address.and_then(|at| Address::of(call.args.get(at)?));
        let (family, kind, local, remote) = if let Some(Said::Socket {
            family,
            kind,
            local,
            remote,
        }) = said
        {
            (family, kind, local, remote)
        } else {
            let moves = row.sends.is_some() || row.receives.is_some();
            let datagram = moves && address.is_some();
            let kind = if datagram {
                Kind::Datagram
            } else {
                Kind::Stream
            };
            let of_unix = matches!(address, Some(Address::Unix(_)));
            let family = if of_unix { "AF_UNIX" } else { "" };
            (family.to_owned(), kind, None, None)
        };
        let id = self.new_socket(event.side, &family, kind);
        let socket = self.sockets.get_mut(&id)?;
        socket.state = match row.does {
            Does::Accepts => State::Listening,
            _ if remote.is_some() => State::Connected,
            Does::Neither | Does::Shuts if kind == Kind::Stream => State::Connected,
            _ => State::Created,
        };
        socket.counts = true;
        (socket.local, socket.remote) = (local, remote);
        let thing = Thing::Socket(id);
        self.install(
            number,
            Open {
                thing,
                close_on_exec: false,
            },
            event,
        );
        Some(id)
    }

    // ---- Calls ----

    fn call(&mut self, event: &mut Event, call: &Call) {
        let Some(row) = calls::of(&call.name) else {
            return;
        };
        event.socket = row.on.and_then(|at| self.socket_at(at, row, call, event));
        let about = row.proves || matches!(row.does, Does::MakesSocket | Does::MakesPair(_));
        event.on_a_socket = event.socket.is_some() || (about && call.failed());
        match row.does {
            Does::Neither | Does::ReapsTask | Does::Exits => {}
            Does::Rings => event.on_a_socket = false,
            Does::Watches(by) => event.on_a_socket = self.watches_a_socket(by, call, event.task),
            // A failed connect still records its target, and a failed close may have closed.
            Does::Connects => self.connect(call, event),
            Does::Binds if call.failed() => self.wanted_a_port(call, event),
            Does::Closes => self.close_one(call, event),
            _ if call.failed() => {}
            Does::MakesSocket
            | Does::MakesPair(_)
            | Does::Accepts
            | Does::Binds
            | Does::Listens
            | Does::Shuts
            | Does::SetsOption
            | Does::GetsOption
            | Does::Names(_) => self.socket_call(row, call, event),
            Does::ClosesRange => self.close_range(call, event),
            Does::Duplicates
            | Does::Controls
            | Does::Fetches
            | Does::OpensFile
            | Does::OpensAnother
            | Does::OpensPipe(_) => {
                self.descriptor_call(row.does, call, event);
            }
            Does::MakesTask => self.make_task(call, event),
            Does::BecomesProgram => self.become_program(call, event),
            Does::Unshares => {
                if has_flag(call, "CLONE_FILES") {
                    self.own_table(event);
                }
            }
        }
        let named = event.socket;
        for (data, sends) in [(row.sends, true), (row.receives, false)] {
            let Some(data) = data else { continue };
            let on = match row.on {
                Some(on) if on == data.on => named,
                _ => self.socket_at(data.on, row, call, event),
            };
            if let Some(id) = on {
                self.data(id, data, sends, row, call, event);
            }
        }
    }

    /// A failed bind: a socket with a chosen port is not a probe.
    fn wanted_a_port(&mut self, call: &Call, event: &Event) {
        let port = call.args.get(1).and_then(|arg| Address::of(arg)?.port());
        if let Some(socket) = self.of(event) {
            socket.counts |= port.is_some_and(|port| port != 0);
        }
    }

    /// A successful call of a socket's life.
    fn socket_call(&mut self, row: &Row, call: &Call, event: &mut Event) {
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        match row.does {
            Does::MakesSocket => return self.make_socket(call, event),
            Does::MakesPair(at) => return self.make_pair(arg(at), call, event),
            Does::Accepts => return self.accept(row, call, event),
            Does::Shuts => return self.shut(arg(1), event),
            _ => {}
        }
        let Some(socket) = event.socket.and_then(|id| self.sockets.get_mut(&id)) else {
            return;
        };
        match row.does {
            Does::Binds => {
                socket.state = State::Bound;
                socket.local = Address::of(arg(1));
                let of_choice = |local: &Address| local.port() != Some(0);
                socket.counts |= socket.local.as_ref().is_some_and(of_choice);
            }
            Does::Listens => {
                (socket.state, socket.counts) = (State::Listening, true);
                socket.backlog = number(arg(1));
            }
            Does::SetsOption if arg(2) == "SO_LINGER" => {
                let on = field(arg(3), "l_onoff").and_then(number);
                let time = field(arg(3), "l_linger").and_then(number);
                socket.lingers_not = on.is_some_and(|on| on != 0) && time == Some(0);
            }
            Does::SetsOption if arg(2).contains("TIMEO") => socket.gives_up = true,
            Does::SetsOption => {
                let on = !matches!(arg(3), "[0]");
                match arg(2) {
                    "SO_REUSEADDR" => socket.reuses_address = on,
                    "SO_REUSEPORT" => socket.reuses_port = on,
                    "TCP_NODELAY" => socket.nodelay = on,
                    _ => {}
                }
            }
            Does::GetsOption if arg(2) == "SO_ERROR" && socket.state == State::Connecting => {
                if arg(3) == "[0]" {
                    socket.state = State::Connected;
                    return;
                }
                socket.state = State::Created;
                let error = arg(3).trim_matches(['[', ']']).to_owned();
                socket.refused = socket.remote.take().map(|to| (to, error));
                let id = socket.id;
                self.leave_queue(id);
            }
            Does::Names(true) => socket.remote = Address::of(arg(1)).or(socket.remote.take()),
            Does::Names(false) => {
                socket.counts |= socket.state == State::Bound;
                socket.local = Address::of(arg(1)).or(socket.local.take());
            }
            _ => {}
        }
    }

    /// A successful call that makes descriptors.
    fn descriptor_call(&mut self, does: Does, call: &Call, event: &mut Event) {
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        let result = descriptor(&call.result);
        match (does, result) {
            (Does::Duplicates, Some(copy)) => {
                if let Some(number) = descriptor(arg(0)).filter(|&number| number != copy) {
                    self.duplicate(number, copy, has_flag(call, "O_CLOEXEC"), event);
                }
            }
            (Does::Controls, _) => self.control(call, event),
            (Does::Fetches, Some(number)) => {
                let process = descriptor(arg(0)).and_then(|number| self.thing(event.task, number));
                let Some(Thing::Process(pid)) = process else {
                    return;
                };
                let owner = self.by_pid.get(&(event.source, Some(pid))).copied();
                let thing = owner.and_then(|owner| self.thing(owner, descriptor(arg(1))?));
                if let Some(Thing::Socket(id)) = thing {
                    self.install_socket(number, id, true, event);
                    (event.socket, event.on_a_socket) = (Some(id), true);
                }
            }
            (Does::OpensFile | Does::OpensAnother, Some(number)) => {
                let pid = calls::number(arg(0)).and_then(|pid| u32::try_from(pid).ok());
                let thing = match pid {
                    Some(pid) if call.name == "pidfd_open" => Thing::Process(pid),
                    _ if call.args.iter().any(|arg| is_a_terminal(arg)) => Thing::Output(false),
                    _ => Thing::Another,
                };
                let close_on_exec = call.args.iter().any(|arg| arg.contains("CLOEXEC"));
                self.install(
                    number,
                    Open {
                        thing,
                        close_on_exec,
                    },
                    event,
                );
            }
            (Does::OpensPipe(at), _) => {
                let close_on_exec = has_flag(call, "O_CLOEXEC");
                for number in items(arg(at)).into_iter().filter_map(descriptor) {
                    let thing = Thing::Another;
                    self.install(
                        number,
                        Open {
                            thing,
                            close_on_exec,
                        },
                        event,
                    );
                }
            }
            _ => {}
        }
    }

    fn close_one(&mut self, call: &Call, event: &mut Event) {
        let number = call.args.first().and_then(|arg| descriptor(arg));
        if let Some(number) =
            number.filter(|_| !call.note.starts_with("EBADF") && call.result != "?")
        {
            self.leave_to_foundlings(number, event);
            self.close(number, event);
        }
    }

    fn make_socket(&mut self, call: &Call, event: &mut Event) {
        let Some(number) = descriptor(&call.result) else {
            return;
        };
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        let id = self.new_socket(event.side, arg(0), Kind::of(arg(1)));
        if let Some(socket) = self.sockets.get_mut(&id) {
            arg(2).clone_into(&mut socket.protocol);
            socket.nonblocking = has_flag(call, "SOCK_NONBLOCK");
        }
        self.install_socket(number, id, has_flag(call, "SOCK_CLOEXEC"), event);
        (event.made, event.socket, event.on_a_socket) = (Made::Socket(id), Some(id), true);
    }

    /// The socket that an event's call is on.
    fn of(&mut self, event: &Event) -> Option<&mut Socket> {
        self.sockets.get_mut(&event.socket?)
    }

    fn install_socket(
        &mut self,
        number: i32,
        id: SocketId,
        close_on_exec: bool,
        event: &mut Event,
    ) {
        let thing = Thing::Socket(id);
        self.install(
            number,
            Open {
                thing,
                close_on_exec,
            },
            event,
        );
    }

    fn make_pair(&mut self, array: &str, call: &Call, event: &mut Event) {
        let numbers: Vec<i32> = items(array).into_iter().filter_map(descriptor).collect();
        let &[one, other] = &numbers[..] else { return };
        if call.failed() {
            return;
        }
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        let close_on_exec = has_flag(call, "SOCK_CLOEXEC");
        let ids = [one, other].map(|number| {
            let id = self.new_socket(event.side, arg(0), Kind::of(arg(1)));
            self.install_socket(number, id, close_on_exec, event);
            id
        });
        for (id, peer) in [(ids[0], ids[1]), (ids[1], ids[0])] {
            if let Some(socket) = self.sockets.get_mut(&id) {
                (socket.state, socket.paired, socket.peer) = (State::Connected, true, Some(peer));
            }
        }
        (event.made, event.socket, event.on_a_socket) =
            (Made::Pair(ids[0], ids[1]), Some(ids[0]), true);
    }

    fn accept(&mut self, row: &Row, call: &Call, event: &mut Event) {
        let Some(number) = descriptor(&call.result).filter(|_| !call.failed()) else {
            return;
        };
        let remote = row.address.and_then(|at| Address::of(call.args.get(at)?));
        let said = call.annotation(None).map(Said::of);
        let (mut local, mut remote) = (None, remote);
        if let Some(Said::Socket {
            local: own,
            remote: others,
            ..
        }) = said
        {
            (local, remote) = (own, others.or(remote));
        }
        let listener = self.of(event).map(|listener| {
            listener.counts = true;
            listener.state = State::Listening;
            listener.clone()
        });
        let (family, kind, protocol, at, nodelay) = listener.map_or(
            (String::new(), Kind::Stream, String::new(), None, false),
            |it| (it.family, it.kind, it.protocol, it.local, it.nodelay),
        );
        let id = self.new_socket(event.side, &family, kind);
        if let Some(socket) = self.sockets.get_mut(&id) {
            (socket.protocol, socket.accepted, socket.counts) = (protocol, true, true);
            (socket.state, socket.local, socket.remote) = (State::Connected, local.or(at), remote);
            socket.nonblocking = has_flag(call, "SOCK_NONBLOCK");
            socket.nodelay = nodelay;
        }
        self.install_socket(number, id, has_flag(call, "SOCK_CLOEXEC"), event);
        (event.made, event.on_a_socket) = (Made::Socket(id), true);
        self.meet(id, event);
    }

    fn shut(&mut self, how: &str, event: &mut Event) {
        let writes =
            matches!(how, "SHUT_WR" | "SHUT_RDWR") || how.starts_with('1') || how.starts_with('2');
        let id = event.socket;
        let reads = !writes || how == "SHUT_RDWR" || how.starts_with('2');
        if let Some(socket) = id.and_then(|id| self.sockets.get_mut(&id)) {
            socket.receives_no_more |= reads;
        }
        if let Some(id) = id.filter(|_| writes) {
            self.end(id, End::Fin, event);
        }
    }

    fn close_range(&mut self, call: &Call, event: &mut Event) {
        let limit = |at: usize| {
            let arg = call.args.get(at).map_or("", String::as_str);
            // The last may be ~0U, which strace writes in several forms.
            number(arg)
                .and_then(|n| i32::try_from(n).ok())
                .unwrap_or(i32::MAX)
        };
        let (first, last) = (limit(0), limit(1));
        if has_flag(call, "CLOSE_RANGE_UNSHARE") {
            self.own_table(event);
        }
        let open = &mut self.table(event.task).open;
        let mut numbers: Vec<i32> = open
            .keys()
            .copied()
            .filter(|&n| n >= first && n <= last)
            .collect();
        numbers.sort_unstable();
        if has_flag(call, "CLOSE_RANGE_CLOEXEC") {
            for number in numbers {
                if let Some(open) = self.table(event.task).open.get_mut(&number) {
                    open.close_on_exec = true;
                }
            }
            return;
        }
        for number in numbers {
            if let Some(Thing::Socket(id)) = self.thing(event.task, number) {
                (event.socket, event.on_a_socket) = (Some(id), true);
            }
            self.close(number, event);
        }
    }

    fn duplicate(&mut self, number: i32, copy: i32, close_on_exec: bool, event: &mut Event) {
        let thing = self.thing(event.task, number).unwrap_or(match number {
            1 | 2 => Thing::Output(number == 2),
            _ => Thing::Another,
        });
        if let Some(Thing::Socket(id)) = self.thing(event.task, copy) {
            event.socket = event.socket.or(Some(id)); // dup2 closes the previous descriptor
            event.on_a_socket = true;
        }
        self.install(
            copy,
            Open {
                thing,
                close_on_exec,
            },
            event,
        );
    }

    fn control(&mut self, call: &Call, event: &mut Event) {
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        let (Some(number), false) = (descriptor(arg(0)), call.failed()) else {
            return;
        };
        match arg(1) {
            what if what.starts_with("F_DUPFD") => {
                if let Some(copy) = descriptor(&call.result) {
                    self.duplicate(number, copy, what == "F_DUPFD_CLOEXEC", event);
                }
            }
            "F_SETFD" => {
                if let Some(open) = self.table(event.task).open.get_mut(&number) {
                    open.close_on_exec = arg(2).contains("FD_CLOEXEC");
                }
            }
            "F_SETFL" => {
                if let Some(socket) = self.of(event) {
                    socket.nonblocking = arg(2).contains("O_NONBLOCK");
                }
            }
            _ => {}
        }
    }

    fn make_task(&mut self, call: &Call, event: &mut Event) {
        let Some((pid, shares)) = calls::made_task(call) else {
            return;
        };
        let known = self.by_pid.get(&(event.source, Some(pid))).copied();
        let known = known.filter(|&task| !self.tasks[task.0].ended && task != event.task);
        let task = if let Some(task) = known {
            // The task may run before its maker's call returns.
            self.tasks[task.0].parent = Some(event.task);
            self.tasks[task.0].thread = shares;
            task
        } else {
            let (source, side) = (event.source, event.side);
            self.new_task(source, side, Some(pid), Some(event.task), shares)
        };
        event.made = Made::Task(task);
    }

    fn become_program(&mut self, call: &Call, event: &mut Event) {
        self.tasks[event.task.0].program = program_of(call);
        self.own_table(event);
        let table = self.table(event.task);
        table.was.clear();
        let closing = table.open.iter().filter(|(_, open)| open.close_on_exec);
        let mut closing: Vec<i32> = closing.map(|(&number, _)| number).collect();
        closing.sort_unstable();
        for number in closing {
            self.close(number, event);
        }
        self.table(event.task).was.clear();
    }

    /// The task leaves its shared table with a copy of it.
    fn own_table(&mut self, event: &mut Event) {
        let table = self.tasks[event.task.0].table;
        if self.tables.get(&table).is_none_or(|table| table.users < 2) {
            return;
        }
        let copy = self.copy_of(table);
        self.tables.entry(copy).or_default().users = 1;
        self.tasks[event.task.0].table = copy;
        self.give_up(table, event);
    }

    /// Whether one of the descriptors that a call asks about is a socket. The call does not list those of an epoll.
    fn watches_a_socket(&self, by: By, call: &Call, task: TaskId) -> bool {
        if by == By::Change {
            let number = call.args.get(2).and_then(|arg| descriptor(arg));
            return number
                .is_some_and(|number| matches!(self.thing(task, number), Some(Thing::Socket(_))));
        }
        let side = self.tasks[task.0].side;
        if by == By::Epoll {
            return self
                .sockets
                .values()
                .any(|socket| socket.side == side && socket.is_open() && socket.counts);
        }
        let arrays = call.args.iter().take(4);
        let numbers = arrays.flat_map(|arg| {
            arg.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter_map(descriptor)
        });
        numbers
            .filter_map(|number| self.thing(task, number))
            .any(|thing| matches!(thing, Thing::Socket(id) if self.socket(id).is_some_and(|it| !it.is_the_systems())))
    }

    // ---- Data ----

    fn data(
        &mut self,
        id: SocketId,
        data: Data,
        sends: bool,
        row: &Row,
        call: &Call,
        event: &mut Event,
    ) {
        (event.socket, event.on_a_socket) = (Some(id), true);
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.counts = true;
        // Without a connection EPIPE has no cause at the other end.
        let connected = !matches!(
            socket.state,
            State::Created | State::Bound | State::Listening
        );
        if call.failed() {
            let injected = call.note.contains("(INJECTED"); // the kernel did not cause it
            let ended = matches!(call.note.split(' ').next(), Some("ECONNRESET" | "EPIPE"));
            if ended && !injected && connected {
                let tried = if sends {
                    Direction::Sends
                } else {
                    Direction::Receives
                };
                self.meets_the_end(id, Some(tried), event);
            }
            return;
        }
        let parcels = data.parcels(row, call);
        let flags = row
            .flags
            .and_then(|at| call.args.get(at))
            .map_or("", String::as_str);
        let peeked = flags.contains("MSG_PEEK");
        let urgent = flags.contains("MSG_OOB");
        for parcel in parcels {
            self.rights(id, sends, &parcel, call, event);
            let by_stream = self
                .sockets
                .get(&id)
                .is_some_and(Socket::is_connected_by_nature);
            match (by_stream, sends) {
                _ if urgent && !sends => {}
                (true, true) => self.send(id, &parcel, event),
                (true, false) => self.receive(id, &parcel, peeked, event),
                (false, true) => self.send_message(id, &parcel, event),
                (false, false) => self.receive_message(id, &parcel, peeked, event),
            }
        }
    }

    /// Descriptors that are passed with a message.
    fn rights(
        &mut self,
        id: SocketId,
        sends: bool,
        parcel: &Parcel,
        call: &Call,
        event: &mut Event,
    ) {
        for &number in &parcel.rights {
            if sends {
                let passed = match self.thing(event.task, number) {
                    Some(Thing::Socket(passed)) => Some(passed),
                    _ => None,
                };
                if let Some(passed) = passed {
                    self.refer(passed);
                }
                if let Some(socket) = self.sockets.get_mut(&id) {
                    socket.carried.push_back(passed);
                }
                continue;
            }
            let peer = self.sockets.get(&id).and_then(|socket| socket.peer);
            let carried = peer.and_then(|peer| self.sockets.get_mut(&peer)?.carried.pop_front());
            let thing = match carried {
                Some(Some(passed)) => Thing::Socket(passed),
                _ => Thing::Another,
            };
            let close_on_exec = has_flag(call, "MSG_CMSG_CLOEXEC");
            self.install(
                number,
                Open {
                    thing,
                    close_on_exec,
                },
                event,
            );
            if let Thing::Socket(passed) = thing {
                self.forget_one(passed, event); // the reference that the message held
            } else {
                // Its origin was not seen: later calls may prove that it is a socket.
                self.table(event.task).open.remove(&number);
            }
        }
    }

    pub(super) fn moved(event: &mut Event, socket: SocketId, what: Movement) {
        event.moved.push(Moved { socket, what });
    }
}

/// strace's annotation of a descriptor.
enum Said {
    Socket {
        family: String,
        kind: Kind,
        local: Option<Address>,
        remote: Option<Address>,
    },
    Another,
}

impl Said {
    /// `TCP:[127.0.0.1:1->127.0.0.1:2]`, `UDPv6:[...]`, `UNIX-STREAM:[12->13,"path"]`, `socket:[12]`; `/dev/null`, `pipe:[12]`.
    fn of(words: &str) -> Said {
        let (name, inside) = match words.split_once(":[") {
            Some((name, inside)) => (name, inside.strip_suffix(']').unwrap_or(inside)),
            None => return Said::Another,
        };
        let (family, kind) = match name {
            "TCP" => ("AF_INET", Kind::Stream),
            "TCPv6" => ("AF_INET6", Kind::Stream),
            "UDP" | "UDPLITE" => ("AF_INET", Kind::Datagram),
            "UDPv6" | "UDPLITEv6" => ("AF_INET6", Kind::Datagram),
            "UNIX-STREAM" | "UNIX" => ("AF_UNIX", Kind::Stream),
            "UNIX-DGRAM" => ("AF_UNIX", Kind::Datagram),
            "UNIX-SEQPACKET" => ("AF_UNIX", Kind::Seqpacket),
            "RAW" => ("AF_INET", Kind::Raw),
            "RAWv6" => ("AF_INET6", Kind::Raw),
            "NETLINK" => ("AF_NETLINK", Kind::Other),
            "socket" => ("", Kind::Stream),
            _ => return Said::Another,
        };
        let (local, remote) = match inside.split_once("->") {
            Some((local, remote)) => (Address::of_words(local), Address::of_words(remote)),
            None => (Address::of_words(inside), None),
        };
        Said::Socket {
            family: family.to_owned(),
            kind,
            local,
            remote,
        }
    }
}

/// Whether an argument is the path of a terminal.
fn is_a_terminal(arg: &str) -> bool {
    arg.starts_with("\"/dev/pts/") || arg.starts_with("\"/dev/tty")
}
