//! Shell commands: `cd d && ./s`, `ulimit -n 20; ./s`, `./s | tee log`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::sides::ready::free_port;

/// Shell builtins, which cannot follow `exec`.
const OWN: [&[u8]; 32] = [
    b"!", b".", b":", b"[", b"{", b"}", b"alias", b"case", b"cd", b"command", b"do", b"done",
    b"echo", b"esac", b"eval", b"exec", b"exit", b"export", b"fi", b"for", b"if", b"printf",
    b"read", b"set", b"source", b"test", b"then", b"trap", b"ulimit", b"umask", b"wait", b"while",
];

/// The program and arguments that run a command. The last program of a list replaces the shell, as
/// with `exec`, so that the process we start is the user's program.
pub fn shell(command: &OsStr) -> (PathBuf, Vec<OsString>) {
    let mut script = command.as_bytes().to_vec();
    if let Some(at) = last_program(&script) {
        script.splice(at..at, *b"exec ");
    }
    let arguments = vec!["-c".into(), OsString::from_vec(script), "sh".into()];
    (PathBuf::from("/bin/sh"), arguments)
}

/// The position of a list's last program, if no other program runs beside or after it.
fn last_program(script: &[u8]) -> Option<usize> {
    let mut start = 0;
    let mut quote = None;
    let mut at = 0;
    while at < script.len() {
        let (byte, next) = (script[at], script.get(at + 1));
        if let Some(end) = quote {
            if byte == end {
                quote = None;
            } else if byte == b'\\' && end == b'"' {
                at += 1;
            }
            at += 1;
            continue;
        }
        match byte {
            b'\\' => at += 1,
            b'\'' | b'"' => quote = Some(byte),
            b';' => start = at + 1,
            b'&' | b'|' if next == Some(&byte) => {
                at += 1;
                start = at + 1;
            }
            b'&' if at > 0 && matches!(script[at - 1], b'<' | b'>') => {} // 2>&1
            b'&' | b'|' | b'(' | b')' | b'`' | b'\n' => return None,
            _ => {}
        }
        at += 1;
    }
    let mut words = script[..start].split(u8::is_ascii_whitespace);
    if quote.is_some() || words.any(|word| word == b"trap") {
        return None;
    }
    loop {
        start += script[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let word = script[start..].split(u8::is_ascii_whitespace).next()?;
        let name = word
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        if name == 0 || word.get(name) != Some(&b'=') {
            let program = !word.is_empty() && !word.starts_with(b"#") && !OWN.contains(&word);
            return program.then_some(start);
        }
        if word.iter().any(|byte| b"'\"\\$".contains(byte)) {
            return None; // where such a value ends is the shell's to say
        }
        start += word.len();
    }
}

/// Puts a port that is free in the place of each `{port}`: the same for both.
pub fn with_a_free_port(commands: [&OsString; 2]) -> Result<[OsString; 2], String> {
    if !commands.iter().any(|command| with_port(command, 0).1) {
        return Ok(commands.map(OsString::clone));
    }
    let port = free_port()?;
    Ok(commands.map(|command| with_port(command, port).0))
}

/// The command with this port in the place of each `{port}`, and whether it names one.
pub fn with_port(command: &OsStr, port: u16) -> (OsString, bool) {
    let whole = replaced(command, PORT, &port.to_string());
    let named = whole != *command;
    (whole, named)
}

/// The placeholder for a port.
const PORT: &str = "{port}";

/// A command with a placeholder replaced by a value.
pub fn replaced(command: &OsStr, word: &str, value: &str) -> OsString {
    let mut rest = command.as_bytes();
    let mut whole = Vec::new();
    while let Some(at) = rest
        .windows(word.len())
        .position(|part| part == word.as_bytes())
    {
        whole.extend_from_slice(&rest[..at]);
        whole.extend_from_slice(value.as_bytes());
        rest = &rest[at + word.len()..];
    }
    whole.extend_from_slice(rest);
    OsString::from_vec(whole)
}

/// A word, quoted for a shell.
pub fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(command: &str) -> String {
        let (_, arguments) = shell(command.as_ref());
        arguments[1].to_string_lossy().into_owned()
    }

    #[test]
    fn the_last_program_of_a_list_takes_the_shells_place() {
        for (command, expected) in [
            ("./s 1", "exec ./s 1"),
            ("cd d && ./s", "cd d && exec ./s"),
            (
                "ulimit -n 20; VAR=x ./s 2>&1",
                "ulimit -n 20; VAR=x exec ./s 2>&1",
            ),
            (
                "python3 -c 'a; b | c & (d)'",
                "exec python3 -c 'a; b | c & (d)'",
            ),
            ("s \"a;b\" c\\;d", "exec s \"a;b\" c\\;d"),
            ("false || ./s", "false || exec ./s"),
        ] {
            assert_eq!(script(command), expected);
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_left_as_it_is() {
        for command in [
            "./s & wait",
            "./s | cat",
            "(./s)",
            "cd d",
            "trap 'rm x' EXIT; ./s",
            "for i in 1 2; do ./s; done",
            "if true; then ./s; fi",
            "{ ./s; }",
            "./s;",
            "A=\"x y\" ./s",
            "./s \"unfinished",
            "./a\n./b",
            "",
            "# nothing",
        ] {
            assert_eq!(script(command), command);
        }
    }
}
