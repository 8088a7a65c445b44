//! The differences between a Rust program and its C twin that are expected, each with its reason.
//! This is the list that `sockstep diff` judges by and that `ffi-notes.md` prints.

/// A call that only the Rust program makes.
pub struct Expected {
    /// The beginning of the call, in strace's form.
    pub call: &'static str,
    /// Its end.
    pub end: &'static str,
    /// The beginning of the next call.
    pub before: &'static str,
    pub reason: &'static str,
}

pub const EXPECTED: &[Expected] = &[
    Expected {
        call: "close(",
        end: " = 0",
        before: "write(2, ",
        reason: "On the error path `?` drops the socket, which closes it, before the error is printed; C leaves it to exit.",
    },
    Expected {
        call: "fcntl(",
        end: ", F_GETFD) = 0",
        before: "close(",
        reason: "A debug build of the standard library asserts that a descriptor it drops is open; a release build does not.",
    },
];

impl Expected {
    /// Whether a line that only Rust has is this difference, judged by that line and the next.
    pub fn covers(&self, line: &str, next: &str) -> bool {
        line.starts_with(self.call) && line.ends_with(self.end) && next.starts_with(self.before)
    }

    /// A row of the table in `ffi-notes.md`.
    #[cfg(test)]
    pub fn row(&self) -> String {
        let before = match self.before.trim_end() {
            "" => "anything".to_owned(),
            before => format!("`{before}`"),
        };
        format!(
            "| `{}…{}` | {before} | {} |",
            self.call, self.end, self.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::EXPECTED;

    #[test]
    fn ffi_notes_print_this_list() {
        let notes = include_str!("../../../../ffi-notes.md");
        let table: Vec<&str> = notes
            .split_once("### Expected differences\n")
            .expect("ffi-notes.md has the section")
            .1
            .lines()
            .skip_while(|line| !line.starts_with("| ---"))
            .skip(1)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let rows: Vec<String> = EXPECTED.iter().map(super::Expected::row).collect();
        assert_eq!(
            table,
            rows,
            "the table of ffi-notes.md is to be:\n{}\n",
            rows.join("\n")
        );
    }
}
