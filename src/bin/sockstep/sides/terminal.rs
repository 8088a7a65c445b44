//! The terminal that a side prints to, so that C's standard output is line-buffered as for a user.
//! It passes bytes unchanged and reports no colours.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use sockstep::Errno;

/// The value of TERM in the side's environment.
pub const KIND: &str = "dumb";

/// Our end, from which to read; and the program's.
pub fn open() -> Result<(OwnedFd, OwnedFd), String> {
    let open = || -> Result<_, Errno> {
        let ends = openpty(&size(), None)?;
        for end in [&ends.master, &ends.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let mut settings = tcgetattr(&ends.slave)?;
        settings.output_flags.remove(OutputFlags::OPOST);
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&ends.slave, SetArg::TCSANOW, &settings)?;
        Ok((ends.master, ends.slave))
    };
    open().map_err(|errno| format!("a terminal for the programs (/dev/ptmx): {errno}"))
}

/// Sets it to the size of our terminal.
pub fn resize(end: &OwnedFd) {
    let Winsize { ws_row, ws_col, .. } = size();
    let Ok(end) = end.try_clone() else {
        return; // it keeps its size
    };
    let (rows, columns) = (ws_row.to_string(), ws_col.to_string());
    let _ = Command::new("stty")
        .args(["rows", &rows, "cols", &columns])
        .stdin(end)
        .stderr(Stdio::null())
        .status();
}

/// The size of the terminal on standard output, from stty(1); otherwise the traditional 80 x 24.
fn size() -> Winsize {
    let mut size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let stdout = io::stdout();
    if let (true, Ok(terminal)) = (stdout.is_terminal(), stdout.as_fd().try_clone_to_owned()) {
        let said = Command::new("stty")
            .arg("size")
            .stdin(terminal)
            .stderr(Stdio::null())
            .output();
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let said = said.unwrap_or_default();
        let mut numbers = said.split_whitespace().flat_map(str::parse);
        if let (Some(rows @ 1..), Some(columns @ 1..)) = (numbers.next(), numbers.next()) {
            (size.ws_row, size.ws_col) = (rows, columns);
        }
    }
    size
}
