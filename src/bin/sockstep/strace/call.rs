//! One call, as a line of a recording or two have it.

/// A system call, its parts in strace's default form: arguments without names, constants by name,
/// strings escaped in octal, descriptors without annotations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub name: String,
    /// The first is [`UNSEEN`] if the call's beginning was not recorded.
    pub args: Vec<String>,
    /// What it returned: `0`, `-1`, `?`.
    pub result: String,
    /// The text after that: `ECONNREFUSED (Connection refused)`, `(Timeout)`, `(INJECTED)`,
    /// `<detached ...>`, or nothing.
    pub note: String,
    /// How long it took, in nanoseconds.
    pub took: Option<u64>,
    /// strace's annotations of descriptors and pids.
    pub annotations: Vec<Annotation>,
    /// Who called it, innermost first (`-k`): `/home/student/server(main+0x22) [0x17fe]`.
    pub stack: Vec<String>,
}

/// strace's annotation of a number: `TCP:[127.0.0.1:1->127.0.0.1:2]` of
/// `3<TCP:[127.0.0.1:1->127.0.0.1:2]>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The argument in which it stands; `None`: the result.
    pub arg: Option<usize>,
    pub number: String,
    pub text: String,
}

/// The notes of a call whose end is not in the recording.
pub const UNFINISHED: &str = "<unfinished ...>";
pub const DETACHED: &str = "<detached ...>";

/// The placeholder for arguments that are not in the recording.
pub const UNSEEN: &str = "...";

impl Call {
    pub fn failed(&self) -> bool {
        self.result == "-1" || self.result == "?"
    }

    /// Whether it has begun, and not returned as far as the recording goes.
    pub fn is_unfinished(&self) -> bool {
        self.result == "?" && matches!(self.note.as_str(), UNFINISHED | DETACHED)
    }

    /// strace's annotation of the first number in an argument, or (`None`) in the result.
    pub fn annotation(&self, arg: Option<usize>) -> Option<&str> {
        let mut all = self.annotations.iter();
        let found = all.find(|annotation| annotation.arg == arg)?;
        Some(&found.text)
    }
}
