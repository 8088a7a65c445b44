//! Sets of flags that C keeps in an integer: each set is a type of its own, its flags have C's names, and `|` joins them.
//!
//! There is no `!` for all: `!MSG_OOB` would be every flag that the kernel knows, also those that must not be sent.

/// A type that is a set of C's flags, and each of them as a constant.
macro_rules! flags {
    (
        $(#[$about:meta])* $set:ident: $number:ty;
        $($(#[$what:meta])* $flag:ident)*
    ) => {
        $(#[$about])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $set(pub(crate) $number);

        $(
            $(#[$what])*
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "bits")]
            pub const $flag: $set = $set(libc::$flag as $number);
        )*

        impl $set {
            /// The empty set, C's 0.
            #[must_use]
            pub const fn empty() -> $set {
                $set(0)
            }

            /// Whether it is C's 0.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether any of these flags is set, C's `if (set & flags)`.
            #[must_use]
            pub const fn has(self, flags: $set) -> bool {
                self.0 & flags.0 != 0
            }
        }

        impl std::ops::BitOr for $set {
            type Output = $set;
            #[inline]
            fn bitor(self, flags: $set) -> $set {
                $set(self.0 | flags.0)
            }
        }

        impl std::ops::BitOrAssign for $set {
            fn bitor_assign(&mut self, flags: $set) {
                self.0 |= flags.0;
            }
        }

        impl std::ops::BitAnd for $set {
            type Output = $set;
            fn bitand(self, flags: $set) -> $set {
                $set(self.0 & flags.0)
            }
        }

        impl std::ops::BitAndAssign for $set {
            fn bitand_assign(&mut self, flags: $set) {
                self.0 &= flags.0;
            }
        }

        impl std::fmt::Debug for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut rest = *self;
                let mut between = "";
                for (flag, name) in [$(($flag, stringify!($flag))),*] {
                    if rest.0 & flag.0 == flag.0 && flag.0 != 0 {
                        write!(f, "{between}{name}")?;
                        rest.0 &= !flag.0;
                        between = "|";
                    }
                }
                match rest.0 {
                    0 if between.is_empty() => f.write_str("0"),
                    0 => Ok(()),
                    unnamed => write!(f, "{between}{unnamed:#x}"),
                }
            }
        }
    };
}

pub(crate) use flags;
