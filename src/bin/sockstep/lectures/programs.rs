//! Where the programs are: the Rust ones in this program's directory, the C twins compiled from
//! sources embedded in it.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use clap::ValueEnum;

use crate::common::note;

/// The language of a program.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Implementation {
    /// The Rust program
    Rust,
    /// Its C twin, compiled when needed
    C,
}

/// Each twin's name and source.
macro_rules! twins {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../", $name, ".c")))),*]
    };
}
const TWINS: &[(&str, &str)] = twins! {
    "byte_order"
    "name_lookup"
    "tcp_echo_client"
    "tcp_echo_server"
    "tcp_echo_server_epoll"
    "tcp_echo_server_fork"
    "tcp_echo_server_poll"
    "tcp_echo_server_pool"
    "tcp_echo_server_prefork"
    "tcp_echo_server_select"
    "tcp_echo_server_thread"
    "tcp_upper_client"
    "tcp_upper_server"
    "udp_echo_client"
    "udp_echo_server"
    "udp_upper_client"
    "udp_upper_server"
    "web_client"
    "web_server"
};

/// The headers that the twins include.
macro_rules! headers {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../", $name)))),*]
    };
}
const HEADERS: &[(&str, &str)] = headers! {
    "common/asked.h"
    "common/common.h"
    "common/deadline.h"
    "common/echo.h"
    "common/text.h"
    "web/access.h"
    "web/connection.h"
    "web/files.h"
    "web/generate.h"
    "web/listening.h"
    "web/log.h"
    "web/page.h"
    "web/request.h"
    "web/response.h"
    "web/threads.h"
    "web/url.h"
};

/// The names of all programs.
pub fn all() -> impl Iterator<Item = &'static str> {
    TWINS.iter().map(|&(name, _)| name)
}

/// The source of a twin, or of a header that twins include.
pub fn c_source(file: &str) -> Option<&'static str> {
    let mut all = TWINS.iter().chain(HEADERS);
    let name = file.strip_suffix(".c").unwrap_or(file);
    all.find(|(other, _)| *other == name).map(|&(_, text)| text)
}

/// The name of the program of ours at this path: in this program's directory, or in the twins'
/// directory.
pub fn ours_at(path: &Path) -> Option<&str> {
    let directory = path.parent()?;
    let own = std::env::current_exe().ok()?;
    let of_twins = directory.file_name()?.to_str()?.starts_with("sockstep-");
    let name = path.file_name()?.to_str()?;
    (of_twins || Some(directory) == own.parent()).then_some(name)
}

/// How long the C compiler may take for all of them, and how often it is checked.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(3);
/// After this time a terminal shows a message.
const UNEASY: Duration = Duration::from_secs(1);

/// The page that our Web server serves.
const PAGE: &str = "<!DOCTYPE html>\n<title>sockstep</title>\n<p>Site under construction\n";

/// Programs that can be started. Compiled twins are in a directory that is removed with this.
pub struct Programs {
    pub paths: Vec<PathBuf>,
    directory: Option<PathBuf>,
    make: MakeDirectory,
}

/// Makes a directory that is removed even if we are killed.
type MakeDirectory = fn() -> Result<PathBuf, String>;

impl Programs {
    /// Finds or compiles each of `wanted`, in order.
    pub fn find(
        wanted: &[(&str, Implementation)],
        make: MakeDirectory,
    ) -> Result<Programs, String> {
        let mut programs = Programs {
            paths: Vec::new(),
            directory: None,
            make,
        };
        let mut compilers = Vec::new();
        for &(name, implementation) in wanted {
            let path = match implementation {
                Implementation::Rust => beside_this_one(name)?,
                Implementation::C => {
                    let directory = programs.directory()?;
                    // Several servers share one client: a second compiler would overwrite a file
                    // that the first one reads.
                    if !compilers.iter().any(|&(other, _)| other == name) {
                        compilers.push((name, compile(name, &directory)?));
                    }
                    directory.join(name)
                }
            };
            programs.paths.push(path);
        }
        let (start, mut told) = (Instant::now(), false);
        for (name, mut compiler) in compilers {
            let failed = |error: io::Error| format!("the C compiler: {error}");
            let status = loop {
                if let Some(status) = compiler.try_wait().map_err(failed)? {
                    break status;
                }
                if start.elapsed() > UNEASY && !told && io::stderr().is_terminal() {
                    told = true;
                    note("sockstep: waiting for the C compiler");
                }
                if start.elapsed() > PATIENCE {
                    let seconds = PATIENCE.as_secs();
                    return Err(format!("{name}.c has not compiled within {seconds} s"));
                }
                sleep(TICK);
            };
            if !status.success() {
                let words = fs::read(programs.directory()?.join(name).with_extension("words"));
                let words = String::from_utf8_lossy(&words.map_err(failed)?).into_owned();
                return Err(format!("{name}.c does not compile:\n{words}"));
            }
        }
        Ok(programs)
    }

    /// Takes each from a directory of programs.
    pub fn in_directory<'a>(
        directory: &Path,
        wanted: impl Iterator<Item = &'a str>,
    ) -> Result<Programs, String> {
        let find = |name| {
            let path = directory.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(format!("{} does not exist", path.display()))
            }
        };
        Ok(Programs {
            paths: wanted.map(find).collect::<Result<_, _>>()?,
            directory: None,
            make: || Err("no directory is needed here".to_owned()),
        })
    }

    /// A directory with a page, for a Web server.
    pub fn site(&mut self) -> Result<PathBuf, String> {
        let site = self.directory()?.join("site");
        fs::create_dir(&site).map_err(|error| format!("{}: {error}", site.display()))?;
        write(&site.join("index.html"), PAGE)?;
        Ok(site)
    }

    /// The same with more files, for a server whose answers are compared: all files and directories
    /// have the same time.
    pub fn large_site(&mut self) -> Result<PathBuf, String> {
        let site = self.site()?;
        write(
            &site.join("large.txt"),
            &"abcdefghijklmnopqrstuvwxyz\n".repeat(12_000),
        )?;
        write(&site.join(".hidden"), PAGE)?;
        let empty = site.join("empty");
        fs::create_dir(&empty).map_err(|error| format!("{}: {error}", empty.display()))?;
        let then = UNIX_EPOCH + Duration::from_secs(1_000_000_000); // Sun, 09 Sep 2001 01:46:40 GMT
        for name in ["index.html", "large.txt", ".hidden", "empty", ""] {
            let path = site.join(name);
            File::open(&path)
                .and_then(|file| file.set_modified(then))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(site)
    }

    /// The directory for the twins, made when first asked for.
    fn directory(&mut self) -> Result<PathBuf, String> {
        if let Some(directory) = &self.directory {
            return Ok(directory.clone());
        }
        let made = (self.make)()?;
        let directory = self.directory.insert(made).clone();
        // Written once, before the first compiler reads it: several run at the same time.
        for (name, text) in HEADERS {
            let header = directory.join(name);
            let room = header.parent().unwrap_or(&directory);
            fs::create_dir_all(room).map_err(|error| format!("{}: {error}", room.display()))?;
            write(&header, text)?;
        }
        Ok(directory)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory); // left in the system's temporary directory
        }
    }
}

fn beside_this_one(name: &str) -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| format!("/proc/self/exe: {error}"))?;
    let path = this.with_file_name(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!(
            "{} does not exist. Build all programs with: cargo build --release",
            path.display()
        ))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Starts the C compiler on one twin.
fn compile(name: &str, directory: &Path) -> Result<Child, String> {
    let source = directory.join(name).with_extension("c");
    let (_, text) = TWINS
        .iter()
        .find(|twin| twin.0 == name)
        .ok_or(format!("{name} has no C twin"))?;
    write(&source, text)?;
    let words = directory.join(name).with_extension("words");
    let words = File::create(&words).map_err(|error| format!("{}: {error}", words.display()))?;
    let cc = std::env::var("CC").unwrap_or("cc".to_owned());
    let mut command = cc.split_whitespace(); // CC="ccache gcc"
    Command::new(command.next().unwrap_or("cc"))
        .args(command)
        .args(env!("SOCKSTEP_CFLAGS").split(' '))
        .arg("-o")
        .arg(directory.join(name))
        .arg(&source)
        // The compiler runs in that directory: its temporary files are removed with it, and the
        // keeper ends processes that work there.
        .current_dir(directory)
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .stderr(words)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{cc} was not found. Install a C compiler: apt-get install gcc libc6-dev")
            }
            _ => format!("{cc}: {error}"),
        })
}
