//! An output file of a run: opened before anything is run, and unchanged until there is something
//! to write.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::draw::terminal::put;

/// Standard output.
pub const STANDARD_OUTPUT: &str = "-";

pub struct Target {
    pub option: &'static str,
    /// `None`: standard output.
    file: Option<(PathBuf, File)>,
    /// The file did not exist before.
    new: bool,
}

impl Target {
    /// Fails before the run if the file cannot be written. It must not be `input`, which is being
    /// read.
    pub fn open(option: &'static str, path: &Path, input: Option<&Path>) -> Result<Target, String> {
        let mut target = Target {
            option,
            file: None,
            new: false,
        };
        if path == Path::new(STANDARD_OUTPUT) {
            return Ok(target);
        }
        let new = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| format!("{option}: {}: {error}", path.display()))?;
        let read = input.and_then(|input| place(&File::open(input).ok()?));
        if read.is_some() && read == place(&file) {
            return Err(format!("{option}: {} is the recording", path.display()));
        }
        target.file = Some((path.to_owned(), file));
        target.new = new;
        Ok(target)
    }

    /// Fails if two targets are the same file.
    pub fn differs(&mut self, other: &Target) -> Result<(), String> {
        let (Some((path, own)), Some((_, theirs))) = (&self.file, &other.file) else {
            return Ok(());
        };
        let (own, theirs) = (place(own), place(theirs));
        if own.is_none() || own != theirs {
            return Ok(());
        }
        self.new = false; // the other target removes it
        let (one, other) = (other.option, self.option);
        let path = path.display();
        Err(format!("{one} and {other} are the same file: {path}"))
    }

    pub fn write(mut self, bytes: &[u8]) -> Result<(), String> {
        self.new = false;
        let (option, file) = (self.option, self.file.as_mut());
        match file {
            None => put(bytes).map_err(|error| error.to_string()),
            Some((path, file)) => {
                write(file, bytes).map_err(|error| format!("{option}: {}: {error}", path.display()))
            }
        }
    }
}

/// The identity of the file, if it is a regular file.
fn place(file: &File) -> Option<(u64, u64)> {
    let data = file.metadata().ok().filter(fs::Metadata::is_file)?;
    Some((data.dev(), data.ino()))
}

fn write(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    if file.metadata()?.is_file() {
        file.rewind()?;
        file.set_len(0)?;
    }
    file.write_all(bytes)
}

impl Drop for Target {
    /// Removes a new file that is still empty.
    fn drop(&mut self) {
        if let (Some((path, _)), true) = (&self.file, self.new) {
            let _ = fs::remove_file(path); // it may no longer exist already
        }
    }
}
