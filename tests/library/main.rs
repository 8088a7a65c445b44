//! What the library promises: the calls, their errors, their types, this machine's own headers.

mod abi;
mod attacks;
mod calls;
mod errno;
mod messages;
mod netdb;
mod refused;
mod waiting;
mod wrappers;
