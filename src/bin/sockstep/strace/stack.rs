//! A line of a stack, as `strace -k` writes it below a call: innermost first.

/// A frame: the caller of a call, or a caller of that.
#[derive(Debug, PartialEq)]
pub struct Frame<'a> {
    /// The program or the library.
    pub object: &'a str,
    /// The return address: the offset in the object's file, or (`strace` with libdw) its address
    /// before loading.
    pub address: u64,
    /// The source and the line, from `-kk`.
    pub place: Option<(&'a str, usize)>,
}

impl Frame<'_> {
    /// Reads `/home/student/server(main+0x22) [0x17fe]`, with or without `server.c:62` after it.
    pub fn of(line: &str) -> Option<Frame<'_>> {
        let (before, rest) = line.rsplit_once(" [0x")?;
        let (address, place) = rest.split_once(']')?;
        let object = before.strip_suffix(')')?;
        // A name in C++ or Rust may have parentheses of its own: the object's ends before the first of them.
        let (object, _) = object.split_once('(')?;
        let place = place.trim().rsplit_once(':');
        Some(Frame {
            object,
            address: u64::from_str_radix(address, 16).ok()?,
            place: place.and_then(|(file, line)| Some((file, line.parse().ok()?))),
        })
    }

    /// Whether it is the outermost frame: a program or a thread begins here.
    pub fn is_the_last(line: &str) -> bool {
        ["(_start+", "(clone3+", "(__clone3+", "(clone+", "(__clone+"]
            .iter()
            .any(|first| line.contains(first))
    }

    /// Whether it belongs to the system: the C library, the loader.
    pub fn is_the_systems(&self) -> bool {
        ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/lib32"]
            .iter()
            .any(|place| {
                self.object
                    .strip_prefix(place)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            && self.object.contains(".so")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_an_object_and_an_address_and_perhaps_a_place() {
        let frame = |line| Frame::of(line).map(|it| (it.object, it.address, it.place));
        for (line, expected) in [
            ("/s(main+0x22) [0x17fe]", Some(("/s", 0x17fe, None))),
            ("/a b/s() [0x10]", Some(("/a b/s", 0x10, None))),
            (
                "/s(main+0x22) [0x17fe] server.c:62",
                Some(("/s", 0x17fe, Some(("server.c", 62)))),
            ),
            (
                "/s(std::rt::lang_start::{{closure}}+0x9) [0x41409]",
                Some(("/s", 0x41409, None)),
            ),
            ("/s(f(int, char*)+0x9) [0x9]", Some(("/s", 9, None))),
            ("unexpected_backtracing_error [0x7f]", None),
            ("BUG IN print_call_cb", None),
            ("", None),
        ] {
            assert_eq!(frame(line), expected, "{line}");
        }
    }
}
