//! Bytes from the network as text: upper case for the reply, escapes for a terminal or a log. The C
//! twins have the same in `text.h`.

use std::str;

/// Appends `bytes` so that a terminal shows them and executes none of them: printable text
/// unchanged, other bytes as `\n`, `\x1b`, and a backslash as `\\`.
pub fn escape(bytes: &[u8], line: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut utf8 = [0; 4];
            let utf8 = c.encode_utf8(&mut utf8).as_bytes();
            match c {
                '\\' => line.extend_from_slice(b"\\\\"),
                '\n' => line.extend_from_slice(b"\\n"),
                '\r' => line.extend_from_slice(b"\\r"),
                '\t' => line.extend_from_slice(b"\\t"),
                _ if acts_on_a_terminal(c) => escape_bytes(utf8, line),
                _ => line.extend_from_slice(utf8),
            }
        }
        escape_bytes(chunk.invalid(), line);
    }
}

/// Appends a piece of a page as `escape` does, but keeps its newlines and tabs. Returns how many
/// bytes were consumed: fewer than all if the piece ends within a character or a line ending. With
/// `last`, all are consumed.
pub fn escape_page(bytes: &[u8], last: bool, page: &mut Vec<u8>) -> usize {
    let cut = bytes.utf8_chunks().last().map_or(0, |chunk| {
        let whole = str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_some());
        if whole { 0 } else { chunk.invalid().len() }
    });
    let cut = cut.max(usize::from(bytes.ends_with(b"\r")));
    let done = bytes.len() - if last { 0 } else { cut };
    for piece in bytes[..done].split_inclusive(|byte| b"\n\t".contains(byte)) {
        let end = piece.len() - usize::from(piece.ends_with(b"\n") || piece.ends_with(b"\t"));
        let (text, end) = piece.split_at(end);
        let carriage = end == b"\n" && text.ends_with(b"\r");
        escape(&text[..text.len() - usize::from(carriage)], page);
        page.extend_from_slice(end);
    }
    done
}

fn escape_bytes(bytes: &[u8], line: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        line.extend_from_slice(&[
            b'\\',
            b'x',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
    }
}

/// Control characters, and Unicode characters that are invisible or change the direction of text.
pub fn acts_on_a_terminal(c: char) -> bool {
    matches!(u32::from(c),
        0x00..=0x1f | 0x7f..=0x9f | 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
}

/// Fills `reply` with `bytes` in upper case: a to z only, or by Unicode's rules. Returns how many
/// bytes were consumed, as [`unicode_upper`] does.
pub fn upper(bytes: &[u8], unicode: bool, last: bool, reply: &mut Vec<u8>) -> usize {
    reply.clear();
    if unicode {
        return unicode_upper(bytes, last, reply);
    }
    reply.extend(bytes.iter().map(u8::to_ascii_uppercase));
    bytes.len()
}

/// Appends `bytes` in upper case by Unicode's rules (`ß` becomes `SS`); bytes that are not UTF-8
/// stay unchanged. Returns how many bytes were consumed: fewer than all if they end within a
/// character. With `last`, all are consumed.
fn unicode_upper(bytes: &[u8], last: bool, reply: &mut Vec<u8>) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        let (valid, error) = match str::from_utf8(&bytes[done..]) {
            Ok(valid) => (valid, None),
            Err(error) => {
                let valid = &bytes[done..done + error.valid_up_to()];
                (str::from_utf8(valid).unwrap_or_default(), Some(error))
            }
        };
        for c in valid.chars().flat_map(char::to_uppercase) {
            reply.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        done += valid.len();
        if let Some(error) = error {
            let broken = match error.error_len() {
                Some(len) => len,
                None if last => bytes.len() - done,
                None => break,
            };
            reply.extend_from_slice(&bytes[done..done + broken]);
            done += broken;
        }
    }
    done
}
