//! `sockstep run --clients`: one TCP echo server after the other, each with several clients at the same time.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::note;
use crate::draw::chart::{self, Run};
use crate::draw::json::Json;
use crate::draw::terminal::{ERASE, Side, Style, put};
use crate::lectures::pairs::Pair;
use crate::lectures::programs::{Implementation, Programs};
use crate::run::listening_on;
use crate::sides::keeper::directory;
use crate::sides::process::{Process, Source, Start, listen_to_all};
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;
use crate::strace::command::{Trace, available};
use crate::strace::line::{Entry, What};

/// When the server has been silent for so long after its last client, it has nothing more to do.
const SILENCE: Duration = Duration::from_millis(100);

/// A client that is in connect for so long has to wait for its place, and the next one starts.
const CONNECTING: Duration = Duration::from_millis(100);

/// What is asked for.
pub struct Clients<'a> {
    pub servers: Vec<&'static str>,
    pub server_impl: Implementation,
    pub client_impl: Implementation,
    pub number: usize,
    /// Milliseconds for which a client keeps its connection when it has its answer.
    pub think: u32,
    /// The user's arguments for the client.
    pub given: &'a [OsString],
    pub json: bool,
}

/// Runs the servers one after the other, and draws all at the end. The status is that of the first client that failed.
pub fn watch(asked: &Clients) -> Result<ExitStatus, Trouble> {
    let signals = Signals::collect()?;
    available().map_err(|why| format!("--clients needs strace: {why}"))?;
    let mut wanted: Vec<_> = asked
        .servers
        .iter()
        .map(|&server| (server, asked.server_impl))
        .collect();
    wanted.push((Pair::TcpEcho.client(), asked.client_impl));
    let programs = Programs::find(&wanted, directory)?;
    let (client, servers) = programs
        .paths
        .split_last()
        .ok_or("no server is named".to_owned())?;

    let style = Style::of_standard_output();
    let mut json = if asked.json {
        Some(Json::begin()?)
    } else {
        None
    };
    let mut runs = Vec::new();
    let mut outcome = ExitStatus::default();
    for (&name, server) in asked.servers.iter().zip(servers) {
        let progress = Progress::begin(style, !asked.json, name)?;
        let mut stage = Stage::new(asked, name, &signals, json.as_mut());
        for (number, status) in stage.play(server, client)?.into_iter().enumerate() {
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
        runs.push(stage.run);
        drop(progress);
    }
    if !asked.json {
        put(chart::draw(style, &runs).as_bytes())?;
    }
    Ok(outcome)
}

/// Says on a terminal what is being run, until that is over.
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
            let _ = put(ERASE.as_bytes()); // nobody may be there to see it
        }
    }
}

/// Where one server and its clients run. The server is the first of them.
struct Stage<'a> {
    asked: &'a Clients<'a>,
    signals: &'a Signals,
    json: Option<&'a mut Json>,
    run: Run,
    traces: Vec<Trace>,
    complaints: Vec<Vec<u8>>,
    server_said: Vec<u8>,
    /// Who stands at the starting line.
    ready: Vec<bool>,
}

impl<'a> Stage<'a> {
    fn new(
        asked: &'a Clients,
        name: &'static str,
        signals: &'a Signals,
        json: Option<&'a mut Json>,
    ) -> Stage<'a> {
        let all = asked.number + 1;
        Stage {
            asked,
            signals,
            json,
            run: Run {
                name,
                server: Vec::new(),
                clients: vec![Vec::new(); asked.number],
            },
            traces: (0..all).map(|_| Trace::default()).collect(),
            complaints: vec![Vec::new(); all],
            server_said: Vec::new(),
            ready: vec![false; all],
        }
    }

    /// Runs the server and all clients to the end: how the clients ended.
    fn play(&mut self, server: &Path, client: &Path) -> Result<Vec<ExitStatus>, Trouble> {
        let on_a_free_port = ["--bind", "127.0.0.1", "0"].map(OsString::from);
        let mut processes = vec![Start::of(Side::Server, server, &on_a_free_port).process()?];
        let (address, port) = loop {
            if let Some(place) = listening_on(&self.server_said) {
                break place;
            }
            if !processes[0].is_heard() {
                let words = String::from_utf8_lossy(&self.complaints[0]);
                return Err(Trouble::Said(format!("the server did not start: {words}")));
            }
            self.watch(&mut processes, None)?;
        };

        // strace holds each client back at its first socket, so that all start together, and in its printing of the answer.
        let think = u64::from(self.asked.think) * 1000; // microseconds
        let options = [
            "--inject=socket:signal=SIGSTOP:when=1".to_owned(),
            format!("--inject=write:delay_exit={think}"),
        ];
        for number in 1..=self.asked.number {
            let arguments = Pair::TcpEcho.client_arguments(&address, &port, &self.words_of(number));
            let client = Start {
                trace: Some(&options),
                ..Start::of(Side::Client, client, &arguments)
            }
            .process()?;
            processes.push(client);
        }
        while processes
            .iter()
            .zip(&self.ready)
            .skip(1)
            .any(|(client, ready)| client.is_heard() && !ready)
        {
            self.watch(&mut processes, None)?;
        }
        // One after the other, as soon as the one before has connected or been kept from it: their order is that of their numbers.
        for number in 1..=self.asked.number {
            processes[number].signal(Signal::SIGCONT);
            let mut connecting: Option<Instant> = None;
            while processes[number].is_heard()
                && !self.run.clients[number - 1].iter().any(is_connect)
                && connecting.is_none_or(|since| since.elapsed() < CONNECTING)
            {
                let calls = self.traces[number].under_way();
                if calls.iter().any(|call| call.name == "connect") {
                    connecting.get_or_insert_with(Instant::now);
                }
                self.watch(&mut processes, Some(1))?;
            }
        }

        while processes[1..].iter().any(Process::is_heard) {
            self.watch(&mut processes, None)?;
        }
        let mut statuses = Vec::new();
        for client in &mut processes[1..] {
            statuses.push(client.child.wait().map_err(|error| error.to_string())?);
        }
        let mut last_heard = Instant::now();
        while processes[0].is_heard() && last_heard.elapsed() < SILENCE {
            if self.watch(&mut processes, Some(10))? {
                last_heard = Instant::now();
            }
        }
        processes[0].end();
        while processes[0].is_heard() {
            self.watch(&mut processes, None)?;
        }
        Ok(statuses)
    }

    /// The client's arguments: the word gets its number, which tells the connections apart.
    fn words_of(&self, number: usize) -> Vec<OsString> {
        let mut given = self.asked.given.iter().skip_while(|word| *word == "--");
        let mut word = given.next().cloned().unwrap_or("hello".into());
        word.push(format!(" {number}"));
        let mut words = vec!["--".into(), word];
        words.extend(given.cloned());
        words
    }

    /// Waits for what comes next, and files it. Says whether anything came.
    fn watch(&mut self, processes: &mut [Process], patience: Option<u8>) -> Result<bool, Trouble> {
        let mut all: Vec<&mut Process> = processes.iter_mut().collect();
        let (mut heard, mut shown) = (false, Ok(()));
        listen_to_all(self.signals, &mut all, patience, |at, source, bytes| {
            heard |= !bytes.is_empty();
            match source {
                Source::StandardOutput if at == 0 => self.server_said.extend_from_slice(bytes),
                Source::StandardOutput => {}
                Source::StandardError => self.complaints[at].extend_from_slice(bytes),
                Source::Strace => {
                    for entry in self.traces[at].take(bytes) {
                        self.ready[at] |= matches!(&entry.what, What::Signal(what) if what == "stopped by SIGSTOP");
                        if let Some(json) = &mut self.json {
                            shown = shown.and(json.entry_of(
                                self.run.name,
                                Some(at).filter(|&at| at > 0),
                                &entry,
                            ));
                        }
                        match at {
                            0 => self.run.server.push(entry),
                            client => self.run.clients[client - 1].push(entry),
                        }
                    }
                }
            }
        })?;
        shown?;
        Ok(heard)
    }
}

fn is_connect(entry: &Entry) -> bool {
    matches!(&entry.what, What::Call(call) if call.name == "connect")
}
