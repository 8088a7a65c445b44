//! `sockstep run --clients`: one TCP echo server after the other, each with several clients at the same time.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::note;
use crate::draw::chart::{self, Run};
use crate::draw::export::Exports;
use crate::draw::history::History;
use crate::draw::json::Json;
use crate::draw::page::{Page, SourceOptions};
use crate::draw::terminal::{ERASE, Side, Style, put, remark};
use crate::lectures::pairs::Pair;
use crate::lectures::programs::{Implementation, Programs};
use crate::run::fault::Faults;
use crate::run::listening_on;
use crate::run::plan::Command;
use crate::sides::end::End;
use crate::sides::keeper::directory;
use crate::sides::process::{PATIENCE, Process, Source, Start, TICK, listen_to_all};
use crate::sides::ready::{Ready, State};
use crate::sides::shell::{replaced, shell, with_a_free_port};
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;
use crate::strace::calls::{self, Does};
use crate::strace::clock::now;
use crate::strace::command::{Trace, available};
use crate::strace::line::{Entry, What};

/// After this time in connect a client counts as waiting for its place, and the next one starts.
const CONNECTING: Duration = Duration::from_millis(100);
/// How long a client may take to make its first socket, and from there to connect. Some programs
/// never connect.
const STARTING: Duration = Duration::from_secs(5);
const LEAVING: Duration = Duration::from_secs(1);

/// What is asked for.
pub struct Clients<'a> {
    pub servers: Servers<'a>,
    pub number: usize,
    pub json: bool,
    pub faults: Faults,
    pub page: Option<Page>,
    pub sources: &'a SourceOptions,
    pub exports: Exports,
}

/// The servers, and the client used with all of them.
pub enum Servers<'a> {
    Ours {
        names: Vec<&'static str>,
        server_impl: Implementation,
        client_impl: Implementation,
        /// How long a client keeps its connection after its answer, in milliseconds.
        think: u32,
        /// The user's arguments for the client.
        given: &'a [OsString],
    },
    /// A server and a client, as shell commands.
    Commands([&'a OsString; 2]),
}

/// A server to be run, and its clients.
struct Play {
    name: String,
    server: Command,
    clients: Caller,
}

/// How a client is started.
enum Caller {
    /// A client of ours gets the address from the server's `listening on` line.
    Ours {
        program: PathBuf,
        given: Vec<OsString>,
        think: u32,
    },
    /// Another client has the address in its command.
    Command(OsString),
}

/// The placeholder for a client's number in its command.
const NUMBER: &str = "{client}";

/// Runs the servers one after the other, and draws all at the end. The status is that of the first client that failed.
pub fn watch(mut asked: Clients) -> Result<ExitStatus, Trouble> {
    let signals = Signals::collect()?;
    available().map_err(|why| format!("--clients needs strace: {why}"))?;
    let (plays, _programs) = plays(&asked.servers)?;

    let style = Style::of_standard_output();
    let mut json = if asked.json {
        Some(Json::begin()?)
    } else {
        None
    };
    let mut runs = Vec::new();
    let mut outcome = ExitStatus::default();
    let mut interrupted = None;
    for play in &plays {
        let progress = Progress::begin(style, !asked.json, &play.name)?;
        if let Some(page) = &mut asked.page {
            let client =
                matches!(play.clients, Caller::Ours { .. }).then(|| Pair::TcpEcho.client());
            let sources = asked.sources.read([client, Some(&play.name)])?;
            page.run_of_clients(play.name.clone(), sources);
        }
        asked.exports.run_of_clients(play.name.clone());
        if let Some(json) = &mut json {
            json.run(&play.name)?;
        }
        let mut stage = Stage::new(
            asked.number,
            &play.name,
            &signals,
            json.as_mut(),
            &mut asked.faults,
        );
        stage.page = asked.page.as_mut();
        stage.exports = Some(&mut asked.exports);
        let statuses = match stage.play(play) {
            Ok(statuses) => statuses,
            Err(trouble @ Trouble::Signal(_)) => {
                stage.break_off();
                interrupted = Some(trouble);
                break;
            }
            Err(trouble) => return Err(trouble),
        };
        for (number, status) in statuses.into_iter().enumerate() {
            if !status.success() {
                let words = String::from_utf8_lossy(&stage.complaints[number + 1])
                    .trim_end()
                    .to_owned();
                note(format_args!(
                    "sockstep: client {}: {status}: {words}",
                    number + 1
                ));
            }
            if outcome.success() {
                outcome = status;
            }
        }
        stage.run.history.end();
        runs.push(stage.run);
        drop(progress);
    }
    if let Some(json) = &mut json {
        json.end()?;
    }
    let files = asked.page.map_or(Ok(()), Page::end);
    let files = files.and(asked.exports.end());
    if let Some(trouble) = interrupted {
        return Err(trouble);
    }
    if !asked.json {
        put(chart::draw(style, &runs).as_bytes())?;
        for words in asked.faults.happened() {
            put(format!("{words}\n").as_bytes())?;
        }
    }
    asked.faults.missed().for_each(remark);
    files?;
    Ok(outcome)
}

/// The servers to run. Keeps the compiled twins until they are dropped.
fn plays(servers: &Servers) -> Result<(Vec<Play>, Option<Programs>), String> {
    let (names, server_impl, client_impl, think, given) = match servers {
        Servers::Commands(commands) => {
            let [server, client] = with_a_free_port(*commands)?;
            let play = Play {
                name: commands[0].to_string_lossy().into_owned(),
                server: shell(&server),
                clients: Caller::Command(client),
            };
            return Ok((vec![play], None));
        }
        Servers::Ours {
            names,
            server_impl,
            client_impl,
            think,
            given,
        } => (names, *server_impl, *client_impl, *think, *given),
    };
    let mut wanted: Vec<_> = names.iter().map(|&name| (name, server_impl)).collect();
    wanted.push((Pair::TcpEcho.client(), client_impl));
    let programs = Programs::find(&wanted, directory)?;
    let (client, servers) = programs
        .paths
        .split_last()
        .ok_or("name a server".to_owned())?;
    let on_a_free_port = ["--bind", "127.0.0.1", "0"].map(OsString::from).to_vec();
    let plays = names.iter().zip(servers).map(|(&name, server)| Play {
        name: name.to_owned(),
        server: (server.clone(), on_a_free_port.clone()),
        clients: Caller::Ours {
            program: client.clone(),
            given: given.to_vec(),
            think,
        },
    });
    let plays = plays.collect();
    Ok((plays, Some(programs)))
}

/// Shows on a terminal which server is running, until it is dropped.
struct Progress(bool);

impl Progress {
    fn begin(style: Style, wanted: bool, name: &str) -> Result<Progress, Trouble> {
        let shown = style.erasing && wanted;
        if shown {
            put(format!("{name} ...").as_bytes())?;
        }
        Ok(Progress(shown))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.0 {
            let _ = put(ERASE.as_bytes()); // standard output may be closed
        }
    }
}

/// Where one server and its clients run. The server is the first of them.
struct Stage<'a> {
    signals: &'a Signals,
    json: Option<&'a mut Json>,
    page: Option<&'a mut Page>,
    exports: Option<&'a mut Exports>,
    faults: &'a mut Faults,
    run: Run,
    traces: Vec<Trace>,
    complaints: Vec<Vec<u8>>,
    server_said: Vec<u8>,
    /// The clients that have called connect.
    connected: Vec<bool>,
    /// The clients that are held at their first socket.
    ready: Vec<bool>,
}

impl<'a> Stage<'a> {
    fn new(
        clients: usize,
        name: &str,
        signals: &'a Signals,
        json: Option<&'a mut Json>,
        faults: &'a mut Faults,
    ) -> Stage<'a> {
        let all = clients + 1;
        Stage {
            signals,
            json,
            page: None,
            exports: None,
            faults,
            run: Run {
                clients,
                history: History::of_clients(name.to_owned()),
            },
            connected: vec![false; all],
            traces: (0..all).map(|_| Trace::default()).collect(),
            complaints: vec![Vec::new(); all],
            server_said: Vec::new(),
            ready: vec![false; all],
        }
    }

    /// Runs the server and all clients to the end. Returns how the clients ended.
    fn play(&mut self, play: &Play) -> Result<Vec<ExitStatus>, Trouble> {
        let (program, arguments) = &play.server;
        let options = self.faults.options(Side::Server)?;
        let server = Start {
            trace: Some(&options),
            ..Start::of(Side::Server, program, arguments)
        };
        let mut processes = vec![server.process()?];
        let place = self.wait_for_the_server(play, &mut processes)?;

        // strace delays each client at its first socket, so that all start together, and a client
        // of ours while it prints the answer.
        if ["socket", "write"]
            .iter()
            .any(|name| self.faults.concern(Side::Client, name))
        {
            return Err("with --clients a client's socket and write cannot have a fault: strace holds the clients in these calls".to_owned().into());
        }
        let faults = self.faults.options(Side::Client)?;
        let hold = "--inject=socket:signal=SIGSTOP:when=1".to_owned();
        for number in 1..=self.run.clients {
            let ((program, arguments), options) = match &play.clients {
                Caller::Ours {
                    program,
                    given,
                    think,
                } => {
                    let (address, port) = &place;
                    let words = words_of(number, given);
                    let arguments = Pair::TcpEcho.client_arguments(address, port, &words);
                    let think = u64::from(*think) * 1000; // microseconds
                    let think = format!("--inject=write:delay_exit={think}");
                    ((program.clone(), arguments), vec![hold.clone(), think])
                }
                Caller::Command(command) => {
                    let command = replaced(command, NUMBER, &number.to_string());
                    (shell(&command), vec![hold.clone()])
                }
            };
            let options = [options, faults.clone()].concat();
            let client = Start {
                trace: Some(&options),
                ..Start::of(Side::Client, &program, &arguments)
            };
            processes.push(client.process()?);
        }
        let start = Instant::now();
        while start.elapsed() < STARTING
            && processes
                .iter_mut()
                .zip(&self.ready)
                .skip(1)
                .any(|(client, ready)| !ready && !client.is_done())
        {
            self.watch(&mut processes)?;
        }
        // They connect one after the other, each as soon as the one before it is connected or
        // waits: so they are in the order of their numbers.
        for number in 1..=self.run.clients {
            processes[number].signal(Signal::SIGCONT);
            let start = Instant::now();
            let mut connecting: Option<Instant> = None;
            while start.elapsed() < LEAVING
                && !processes[number].is_done()
                && !self.connected[number]
                && connecting.is_none_or(|since| since.elapsed() < CONNECTING)
            {
                let calls = self.traces[number].under_way();
                if calls.iter().any(|call| connects(&call.name)) {
                    connecting.get_or_insert_with(Instant::now);
                }
                self.watch_for(1, &mut processes)?;
            }
        }

        while !processes.iter_mut().skip(1).all(Process::is_done) {
            self.watch(&mut processes)?;
        }
        for at in 1..processes.len() {
            self.end(at, &mut processes)?;
        }
        let mut statuses = Vec::new();
        for client in &mut processes[1..] {
            statuses.push(client.child.wait().map_err(|error| error.to_string())?);
        }
        let done = Instant::now();
        while !processes[0].has_ended() && !processes[0].is_idle() && done.elapsed() < PATIENCE {
            self.watch(&mut processes)?;
        }
        self.end(0, &mut processes)?;
        Ok(statuses)
    }

    /// The address from the server's `listening on` line; empty if the clients do not need it.
    fn wait_for_the_server(
        &mut self,
        play: &Play,
        processes: &mut [Process],
    ) -> Result<(String, String), Trouble> {
        let mut ready = Ready::begin();
        loop {
            if let Some(place) = listening_on(&self.server_said) {
                return Ok(place);
            }
            if processes[0].has_ended() {
                let words = String::from_utf8_lossy(&self.complaints[0]);
                return Err(Trouble::Said(format!("the server did not start: {words}")));
            }
            if let Caller::Command(_) = play.clients {
                match ready.look(&processes[0]) {
                    State::At(_) => return Ok(Default::default()),
                    State::Idle => return Err("the server does not listen".to_owned().into()),
                    State::Starting => {}
                }
            }
            self.watch(processes)?;
        }
    }

    /// Ends one of them.
    fn end(&mut self, at: usize, processes: &mut [Process]) -> Result<(), Trouble> {
        let mut end = End::begin(&processes[at]);
        while !end.is_over(&mut processes[at]) {
            self.watch(processes)?;
        }
        Ok(())
    }

    fn watch(&mut self, processes: &mut [Process]) -> Result<(), Trouble> {
        self.watch_for(TICK, processes)
    }

    /// Waits at most `patience` milliseconds for the next entry, and files it.
    fn watch_for(&mut self, patience: u8, processes: &mut [Process]) -> Result<(), Trouble> {
        let mut all: Vec<&mut Process> = processes.iter_mut().collect();
        let patience = Some(patience);
        let signals = self.signals;
        listen_to_all(
            signals,
            &mut all,
            patience,
            |at, source, bytes| match source {
                Source::StandardOutput if at == 0 => self.server_said.extend_from_slice(bytes),
                Source::StandardOutput => {}
                Source::StandardError => self.complaints[at].extend_from_slice(bytes),
                Source::Strace => {
                    for entry in self.traces[at].take(bytes) {
                        self.file(at, entry);
                    }
                }
            },
        )?;
        if let Some(json) = &mut self.json {
            let under_way: Vec<_> = self.traces.iter().map(Trace::under_way).collect();
            json.settle(&under_way)?;
        }
        Ok(())
    }

    /// Hands on what strace has seen of one of them.
    fn file(&mut self, at: usize, mut entry: Entry) {
        let side = if at == 0 { Side::Server } else { Side::Client };
        self.faults.mark(at, side, &mut entry);
        self.ready[at] |= matches!(&entry.what, What::Signal(what) if what == "stopped by SIGSTOP");
        if let Some(json) = &mut self.json {
            json.take(at, side, entry.clone());
        }
        // The delays that we inject are not shown as the client's own.
        let held = matches!(&entry.what, What::Signal(what) if what.contains("SIGSTOP") || what.starts_with("SIGCONT"));
        if let Some(page) = self.page.as_mut().filter(|_| !held) {
            page.traced(at, side, entry.clone());
        }
        if let Some(exports) = self.exports.as_mut().filter(|_| !held) {
            exports.traced(at, side, &entry);
        }
        self.connected[at] |= matches!(&entry.what, What::Call(call) if connects(&call.name));
        if self.json.is_none() && !held {
            self.run.history.take(at, side, entry);
        }
    }

    /// A signal ends us: the calls that have not returned are all that is still known.
    fn break_off(&mut self) {
        for at in 0..self.traces.len() {
            for mut entry in self.traces[at].end() {
                entry.until = Some(now()); // it has waited until now
                self.file(at, entry);
            }
        }
    }
}

fn connects(name: &str) -> bool {
    calls::does(name) == Does::Connects
}

/// Our client's arguments: the word gets the client's number, which tells the connections apart.
fn words_of(number: usize, given: &[OsString]) -> Vec<OsString> {
    let mut given = given.iter().skip_while(|word| *word == "--");
    let mut word = given.next().cloned().unwrap_or("hello".into());
    word.push(format!(" {number}"));
    let mut words = vec!["--".into(), word];
    words.extend(given.cloned());
    words
}
