//! Who may ask the Web server: HTTP Basic (RFC 7617). The C twin has the same in `web/access.h`.

/// A name and a password that a client must send.
pub struct Credentials {
    pub name: String,
    base64: Vec<u8>,
}

impl Credentials {
    /// Takes `NAME:PASSWORD`.
    pub fn new(text: &str) -> Credentials {
        let (name, _) = text.split_once(':').unwrap_or_default();
        Credentials {
            name: name.to_owned(),
            base64: base64(text.as_bytes()),
        }
    }

    /// Whether a header's value is the word `Basic` and these. Compares all bytes, so that the time
    /// does not tell how many were right.
    pub fn are_in(&self, value: &[u8]) -> bool {
        let (scheme, given) = value.split_at_checked(6).unwrap_or_default();
        let pairs = self.base64.iter().zip(given);
        let differences = pairs.fold(0, |all, (a, b)| all | (a ^ b));
        scheme.eq_ignore_ascii_case(b"Basic ")
            && given.len() == self.base64.len()
            && differences == 0
    }
}

/// A value parser: a name and a password with a colon between.
pub fn name_and_password(text: &str) -> Result<String, &'static str> {
    match text.split_once(':') {
        Some(_) if text.len() <= 255 => Ok(text.to_owned()),
        _ => Err("not NAME:PASSWORD of at most 255 bytes"),
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| {
            bits << 8 | usize::from(*group.get(i).unwrap_or(&0))
        });
        for i in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * i) & 63];
            text.push(if i > group.len() { b'=' } else { digit });
        }
    }
    text
}
