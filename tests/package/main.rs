//! What a stranger finds: README's outputs.

mod readme;
