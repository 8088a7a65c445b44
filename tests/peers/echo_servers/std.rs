//! An echo server by Rust's own library, a thread for each client. Usage: std PORT

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

fn serve(client: &TcpStream) -> io::Result<u64> {
    io::copy(&mut &*client, &mut &*client)
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))?;
    loop {
        match listener.accept() {
            Ok((client, _)) => drop(thread::spawn(move || serve(&client))),
            Err(_) => thread::sleep(Duration::from_millis(50)), // no descriptor is left
        }
    }
}
