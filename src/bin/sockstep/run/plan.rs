//! What to run: a pair of ours, or two commands.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::common::print;
use crate::lectures::pairs::{Choice, Pair};
use crate::lectures::programs::Programs;
use crate::run::Args;

use crate::sides::keeper::directory;
use crate::sides::shell::{quoted, shell, with_a_free_port};
use crate::strace::command;

/// The programs to run.
pub struct Plan {
    /// One of our pairs; otherwise any two programs.
    pub pair: Option<Pair>,
    pub server: Command,
    pub client: Command,
    /// Keeps the compiled twins until the end.
    _programs: Option<Programs>,
}

/// A program and its arguments.
pub type Command = (PathBuf, Vec<OsString>);

impl Plan {
    pub fn of(args: &Args) -> Result<Plan, String> {
        if let (Some(server), Some(client)) = (&args.server, &args.client) {
            let [server, client] = with_a_free_port([server, client])?;
            return Ok(Plan {
                pair: None,
                server: shell(&server),
                client: shell(&client),
                _programs: None,
            });
        }
        let &[Choice { pair, server }] = &args.pair[..] else {
            return Err("name one pair".to_owned());
        };
        let mut programs = Programs::find(
            &[
                (server, args.server_impl.unwrap_or(args.implementation)),
                (
                    pair.client(),
                    args.client_impl.unwrap_or(args.implementation),
                ),
            ],
            directory,
        )?;
        let mut on_a_free_port = ["--bind", "127.0.0.1", "0"].map(OsString::from).to_vec();
        if pair == Pair::Web && !args.print_command {
            on_a_free_port.extend(["--root".into(), programs.site()?.into()]);
        }
        let server = (programs.paths[0].clone(), on_a_free_port);
        let client = (programs.paths[1].clone(), Vec::new());
        Ok(Plan {
            pair: Some(pair),
            server,
            client,
            _programs: Some(programs),
        })
    }

    /// Gives the client of a pair its server's address.
    pub fn point_client_to(&mut self, address: &str, port: &str, given: &[OsString]) {
        if let Some(pair) = self.pair {
            self.client.1 = pair.client_arguments(address, port, given);
        }
    }

    /// The strace commands, to be typed elsewhere.
    pub fn print(mut self, given: &[OsString], options: &[String]) {
        self.point_client_to("127.0.0.1", "PORT", given);
        for ((program, arguments), file) in [
            (self.server, "server.strace"),
            (self.client, "client.strace"),
        ] {
            let mut strace = command::strace(file.as_ref(), options);
            strace.arg(program).args(arguments);
            let words = [strace.get_program()].into_iter().chain(strace.get_args());
            let words: Vec<String> = words.map(quoted).collect();
            print(format!("{}\n", words.join(" ")).as_bytes());
        }
    }
}
