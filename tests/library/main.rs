//! What the library promises: the calls, their errors, their types, this machine's own headers.

#[path = "../support/scratch.rs"]
mod scratch;

mod abi;
mod attacks;
mod calls;
mod errno;
mod messages;
mod netdb;
mod refused;
mod sockets;
mod waiting;
mod wrappers;
