//! The text before a call's name: task, time, and whatever else strace's options put there, in any
//! combination.

use crate::strace::clock::Stamp;

/// A number up to here may be a pid (Linux' own limit); a larger one in its place is a time.
const LARGEST_PID: u64 = 1 << 22;

/// The parsed prefix, and the rest of the line.
#[derive(Debug, Default, PartialEq)]
pub struct Prefix<'a> {
    pub pid: Option<u32>,
    /// `[pid 7]`, which strace writes while it has several tasks, and leaves out while it has one.
    pub bracketed: bool,
    pub stamp: Stamp,
    pub body: &'a [u8],
}

/// Parses a line's prefix: `[pid 7]`, `7`, `7<name>`, `[context]`, a time of day or since 1970, a
/// time since the line before (alone or as `(+ 0.000244)`), `[ 42]` (a call's number),
/// `[00007f438a56ad7]` (an address). `relative_seconds` says that a bare number in front is a time
/// since the line before, in whole seconds.
pub fn prefix(line: &[u8], relative_seconds: bool) -> Prefix<'_> {
    let mut prefix = Prefix {
        body: line.trim_ascii_start(),
        ..Prefix::default()
    };
    if let Some(rest) = prefix.body.strip_prefix(b"[pid") {
        if let Some((pid, rest)) = number(rest.trim_ascii_start()) {
            if let Some(rest) = name(rest).strip_prefix(b"]") {
                if let Ok(pid) = u32::try_from(pid) {
                    (prefix.pid, prefix.bracketed) = (Some(pid), true);
                    prefix.body = rest.trim_ascii_start();
                }
            }
        }
    } else if let Some((number, rest)) = number(prefix.body).filter(|_| !relative_seconds) {
        let after = name(rest);
        if number <= LARGEST_PID && after.first().is_some_and(u8::is_ascii_whitespace) {
            prefix.pid = u32::try_from(number).ok();
            prefix.body = after.trim_ascii_start();
        }
    }
    prefix.body = group(prefix.body);
    if let Some((time, rest)) = word(prefix.body) {
        if let Some(stamp) = absolute(time) {
            prefix.stamp = stamp;
            prefix.body = rest;
        }
    }
    if let Some(rest) = prefix.body.strip_prefix(b"(+") {
        if let Some((time, rest)) = split(rest.trim_ascii_start(), b')') {
            prefix.stamp.relative = nanoseconds(time);
            prefix.body = rest.trim_ascii_start();
        }
    } else if let Some((time, rest)) = word(prefix.body) {
        if let Some(since) = nanoseconds(time).filter(|_| prefix.stamp == Stamp::default()) {
            prefix.stamp.relative = Some(since);
            prefix.stamp.coarse = !time.contains(&b'.');
            prefix.body = rest;
        }
    }
    prefix.body = group(group(prefix.body));
    prefix
}

/// The text after `[...]`, if the body begins with that.
fn group(body: &[u8]) -> &[u8] {
    match body.strip_prefix(b"[") {
        Some(rest) if !rest.starts_with(b" Process ") => {
            split(rest, b']').map_or(body, |(_, rest)| rest.trim_ascii_start())
        }
        _ => body,
    }
}

/// The text after a task's `<name>`. In a name strace writes `<` and `>` as octal numbers.
fn name(rest: &[u8]) -> &[u8] {
    let name = rest.strip_prefix(b"<").and_then(|rest| split(rest, b'>'));
    name.map_or(rest, |(_, rest)| rest)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| byte == at)?;
    Some((&text[..end], &text[end + 1..]))
}

/// The first word, if more follows.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = split(text, b' ')?;
    Some((word, rest.trim_ascii_start()))
}

/// The number at the front.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((decimal(&text[..end])?, &text[end..]))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// `13:39:12.947646` or `1795267737.947646469`.
fn absolute(word: &[u8]) -> Option<Stamp> {
    const SINCE_1970: std::ops::Range<u64> = 100_000_000..10_000_000_000; // seconds: no recording is older than 1973
    let (whole, fraction) = split(word, b'.').unwrap_or((word, b""));
    let day = whole.contains(&b':');
    let seconds = if day {
        let parts: Vec<u64> = whole
            .split(|&byte| byte == b':')
            .map(|part| decimal(part).filter(|&part| part < 61))
            .collect::<Option<_>>()?;
        let [hours, minutes, seconds] = parts[..] else {
            return None;
        };
        hours * 3600 + minutes * 60 + seconds
    } else {
        decimal(whole).filter(|seconds| SINCE_1970.contains(seconds))?
    };
    Some(Stamp {
        absolute: Some(
            seconds
                .checked_mul(1_000_000_000)?
                .checked_add(nanos(fraction)?)?,
        ),
        day,
        coarse: fraction.is_empty(),
        relative: None,
    })
}

/// No call takes this many seconds: 30 years.
const LONGEST: u64 = 1_000_000_000;

/// Seconds with a fraction or without: `0.000255654`, `3`.
pub fn nanoseconds(word: &[u8]) -> Option<u64> {
    let (whole, fraction) = split(word, b'.').unwrap_or((word, b""));
    decimal(whole)
        .filter(|&seconds| seconds < LONGEST)?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos(fraction)?)
}

/// The digits after the point.
fn nanos(fraction: &[u8]) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let digits = u32::try_from(fraction.len()).ok()?;
    Some(decimal(fraction)? * 10u64.pow(9u32.checked_sub(digits)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mix_of_options_leaves_the_call() {
        let day = 49_152_000_000_000;
        for (line, pid, absolute, relative) in [
            ("close(3) = 0", None, None, None),
            ("[pid  42] close(3) = 0", Some(42), None, None),
            ("[pid 42<a b>] close(3) = 0", Some(42), None, None),
            ("42 close(3) = 0", Some(42), None, None),
            ("42<na\\74me> close(3) = 0", Some(42), None, None),
            ("42<x> 13:39:12 close(3) = 0", Some(42), Some(day), None),
            (
                "13:39:12.5 close(3) = 0",
                None,
                Some(day + 500_000_000),
                None,
            ),
            ("[pid 42] 13:39:12 close(3) = 0", Some(42), Some(day), None),
            (
                "42    13:39:12 (+     0.000244) close(3) = 0",
                Some(42),
                Some(day),
                Some(244_000),
            ),
            (
                "13:39:12 (+     3) close(3) = 0",
                None,
                Some(day),
                Some(3_000_000_000),
            ),
            (
                "42         0.000173 close(3) = 0",
                Some(42),
                None,
                Some(173_000),
            ),
            ("     0.000173 close(3) = 0", None, None, Some(173_000)),
            (
                "42         2 close(3) = 0",
                Some(42),
                None,
                Some(2_000_000_000),
            ),
            (
                "1795705578 close(3) = 0",
                None,
                Some(1_795_705_578_000_000_000),
                None,
            ),
            (
                "42 1795705578.123456789 (+     0.000000001) [   3] [00007f4389a56ad7] close(3) = 0",
                Some(42),
                Some(1_795_705_578_123_456_789),
                Some(1),
            ),
            (
                "42 [   3] [????????????????] close(3) = 0",
                Some(42),
                None,
                None,
            ),
            ("42 [00007f43] close(3) = 0", Some(42), None, None),
            (
                "42 [system_u:system_r:unconfined_t:s0] 13:39:12 [   3] close(3) = 0",
                Some(42),
                Some(day),
                None,
            ),
        ] {
            let read = prefix(line.as_bytes(), false);
            assert_eq!(
                (read.pid, read.stamp.absolute, read.stamp.relative),
                (pid, absolute, relative),
                "{line}"
            );
            assert_eq!(read.body, b"close(3) = 0", "{line}");
        }
        let read = prefix(b"     2 close(3) = 0", true);
        assert_eq!((read.pid, read.stamp.relative), (None, Some(2_000_000_000)));
    }

    #[test]
    fn what_is_no_prefix_stays() {
        for line in [
            "[pid x] a(",
            "99999999999999999999999 a(",
            "12",
            "1.2.3 a(",
            "25:70:00 a(",
            "[",
            "(+ x) a(",
        ] {
            let read = prefix(line.as_bytes(), false);
            assert_eq!(read.stamp, Stamp::default(), "{line}");
        }
    }
}
