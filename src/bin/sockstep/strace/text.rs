//! Strings as strace writes them: quoted, with C's escapes.

/// The bytes that a quoted argument stands for, and whether strace left some out (`...`).
pub fn bytes(arg: &str) -> Option<(Vec<u8>, bool)> {
    first_bytes(arg, usize::MAX)
}

/// The same for the first bytes, up to this number; bytes left out count as cut.
pub fn first_bytes(arg: &str, most: usize) -> Option<(Vec<u8>, bool)> {
    let arg = arg.as_bytes();
    let end = quoted(arg.first().filter(|&&byte| byte == b'"').map(|_| arg)?)?;
    let cut = match &arg[end..] {
        b"" => false,
        b"..." => true,
        _ => return None,
    };
    let mut bytes = unescaped(&arg[1..end - 1], most.saturating_add(1))?;
    let more = bytes.len() > most;
    bytes.truncate(most);
    Some((bytes, cut || more))
}

/// Where a string that begins here ends, after its closing quote.
pub fn quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The bytes that strace's escapes stand for, up to this number.
pub(super) fn unescaped(inside: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inside.len().min(most));
    let mut rest = inside.iter().copied().peekable();
    while out.len() < most {
        let Some(byte) = rest.next() else { break };
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digit = |byte: u8, radix| char::from(byte).to_digit(radix);
        match rest.next()? {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'v' => out.push(0x0b),
            b'f' => out.push(0x0c),
            b'x' => {
                let high = rest.next().and_then(|byte| digit(byte, 16))?;
                let low = rest.next().and_then(|byte| digit(byte, 16))?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    let Some(next) = rest.peek().and_then(|&byte| digit(byte, 8)) else {
                        break;
                    };
                    value = value * 8 + next;
                    rest.next();
                }
                out.push(u8::try_from(value).ok()?);
            }
            other => out.push(other),
        }
    }
    Some(out)
}
