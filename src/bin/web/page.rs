//! The output of the Web client's page: a file, or standard output, which may be a terminal. The C
//! twin has the same in `web/page.h`.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use sockstep::{Errno, Error, Result, close};

use crate::common::{print, text::escape_page, write_all};

pub struct Page {
    path: Option<PathBuf>,
    file: Option<OwnedFd>,
    terminal: bool,
    /// An incomplete character at the end of the last piece, for the terminal.
    held: Vec<u8>,
}

impl Page {
    /// A page for the path of --output.
    pub fn new(path: Option<PathBuf>) -> Page {
        let path = path.filter(|path| path.as_os_str() != "-");
        Page {
            file: None,
            terminal: path.is_none() && io::stdout().is_terminal(),
            held: Vec::new(),
            path,
        }
    }

    /// Whether a file has been made.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Writes the next piece. For a terminal, the bytes are escaped.
    pub fn show(&mut self, bytes: &[u8]) -> Result<()> {
        if self.terminal {
            self.held.extend_from_slice(bytes);
            self.show_held(false);
            return Ok(());
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.path.is_none() {
            print(bytes);
            return Ok(());
        }
        let file = self.open()?;
        write_all(file, bytes)
    }

    /// Writes the rest. For an empty page, makes an empty file.
    pub fn end(&mut self) -> Result<()> {
        self.show_held(true);
        if self.path.is_some() {
            self.open()?;
        }
        self.file.take().map_or(Ok(()), close)
    }

    /// The file, made when there is something to write; until then an older file is kept.
    fn open(&mut self) -> Result<&OwnedFd> {
        if let (None, Some(path)) = (&self.file, &self.path) {
            let file = File::create(path).map_err(|error| {
                let errno = error.raw_os_error().unwrap_or_default();
                Error::new("open", Errno::from_raw(errno))
            })?;
            self.file = Some(file.into());
        }
        Ok(self.file.as_ref().expect("just opened"))
    }

    fn show_held(&mut self, last: bool) {
        let mut text = Vec::new();
        let done = escape_page(&self.held, last, &mut text);
        self.held.drain(..done);
        print(&text);
    }
}
