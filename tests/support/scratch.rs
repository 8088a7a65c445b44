//! Room for a test's files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An empty directory of this name: files of an earlier run are removed.
pub fn scratch(name: impl AsRef<Path>) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            panic!("{}: {error}", directory.display())
        }
        _ => fs::create_dir_all(&directory).expect("the target directory is writable"),
    }
    directory
}

/// A file of this name, whose directory is there.
#[allow(dead_code, reason = "not every folder of tests uses it")]
pub fn place(name: impl AsRef<Path>) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let directory = file.parent().expect("the target directory");
    fs::create_dir_all(directory).expect("the target directory is writable");
    file
}
