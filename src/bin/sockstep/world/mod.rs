//! What the kernel knows: tasks, descriptors, sockets, streams, causes.

pub mod tasks;
