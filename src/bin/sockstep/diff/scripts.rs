//! The scripts of `scenarios.rs`: peers that do one thing, with a deadline on every wait.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use sockstep::{
    AF_INET, IPPROTO_TCP, PF_INET, SO_LINGER, SO_RCVBUF, SO_RCVTIMEO, SOCK_CLOEXEC, SOCK_STREAM,
    SOL_SOCKET, bind, getsockname, htonl, linger, ntohs, setsockopt, sockaddr_in, socket, timeval,
};

/// How long a script waits for the program, at most.
const PATIENCE: Duration = Duration::from_secs(15);

/// A script in the place of a server: its address, and its actions.
pub struct Place {
    pub address: SocketAddrV4,
    pub script: Script,
}

/// Runs together with the program. The returned socket stays open until the program has ended.
pub type Script = Box<dyn FnOnce() -> io::Result<OwnedFd> + Send>;

const THREE: [&[u8]; 3] = [b"one", b"two", b"three"];

const ANY_PORT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

fn at(port: u16, script: impl FnOnce() -> io::Result<OwnedFd> + Send + 'static) -> Place {
    Place {
        address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
        script: Box::new(script),
    }
}

// ---- In the place of a TCP client ----

fn connect(server: SocketAddrV4) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends it and receives an answer of the same length.
fn ask(stream: &mut TcpStream, words: &[u8]) -> io::Result<()> {
    stream.write_all(words)?;
    stream.read_exact(&mut vec![0; words.len()])
}

/// Waits for the other side's end before it closes: so the order of the two ends is fixed.
fn take_leave(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Closes with a reset.
fn reset(stream: TcpStream) -> io::Result<()> {
    let at_once = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, SOL_SOCKET, SO_LINGER, &at_once).map_err(io_error)?;
    drop(stream);
    Ok(())
}

fn io_error(error: sockstep::Error) -> io::Error {
    io::Error::other(error.to_string())
}

pub fn connects_and_leaves(server: SocketAddrV4) -> io::Result<()> {
    connect(server).map(drop)
}

pub fn resets(server: SocketAddrV4) -> io::Result<()> {
    let mut stream = connect(server)?;
    ask(&mut stream, b"hello")?;
    reset(stream)
}

pub fn half_closes(server: SocketAddrV4) -> io::Result<()> {
    let mut stream = connect(server)?;
    stream.write_all(b"hello")?;
    take_leave(stream)
}

pub fn resets_leaves_stays(server: SocketAddrV4) -> io::Result<()> {
    resets(server)?;
    connects_and_leaves(server)?;
    let mut stream = connect(server)?;
    ask(&mut stream, b"hello")?;
    take_leave(stream)
}

/// Three messages over one connection, each answered before the next is sent.
pub fn three(server: SocketAddrV4) -> io::Result<()> {
    let mut stream = connect(server)?;
    for words in THREE {
        ask(&mut stream, words)?;
    }
    take_leave(stream)
}

// ---- In the place of several TCP clients ----

/// Lets a script wait until the server has done this much and each of its tasks waits.
pub struct Settled {
    pub ask: Sender<Progress>,
    pub answer: Receiver<()>,
}

/// How many connections the server has accepted, how many messages it has received, and how many of the connections have ended.
#[derive(Clone, Copy)]
pub struct Progress(pub usize, pub usize, pub usize);

impl Settled {
    fn at(&self, accepted: usize, received: usize, ended: usize) -> io::Result<()> {
        let asked = self.ask.send(Progress(accepted, received, ended)).ok();
        asked
            .and_then(|()| self.answer.recv_timeout(PATIENCE).ok())
            .ok_or_else(|| io::Error::other("the server does not become idle"))
    }
}

pub fn one_client(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let mut stream = connect(server)?;
    ask(&mut stream, b"hello")?;
    settled.at(1, 1, 0)?;
    take_leave(stream)
}

pub fn two_at_once(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let mut first = connect(server)?;
    ask(&mut first, b"hello")?;
    settled.at(1, 1, 0)?;
    let mut second = connect(server)?;
    ask(&mut second, b"again")?;
    settled.at(2, 2, 0)?;
    take_leave(first)?;
    settled.at(2, 2, 1)?;
    take_leave(second)
}

pub fn leaves_when_accepted(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let stream = connect(server)?;
    settled.at(1, 0, 0)?;
    drop(stream);
    Ok(())
}

pub fn resets_when_answered(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let mut stream = connect(server)?;
    ask(&mut stream, b"hello")?;
    settled.at(1, 1, 0)?;
    reset(stream)
}

// ---- In the place of Web clients ----

/// A request for a page that keeps the connection open, and that the server logs.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";

/// Sends one piece after the other, each when the server waits for it; then closes.
pub fn says(server: SocketAddrV4, settled: &Settled, pieces: &[&str]) -> io::Result<()> {
    let mut stream = connect(server)?;
    for (before, piece) in pieces.iter().enumerate() {
        settled.at(1, before, 0)?;
        stream.write_all(piece.as_bytes())?;
    }
    take_leave(stream)
}

/// Half a request, which is answered nevertheless.
pub fn falls_silent(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let mut stream = connect(server)?;
    settled.at(1, 0, 0)?;
    stream.write_all(b"GET / HT")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

pub fn resets_amid_a_request(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let mut stream = connect(server)?;
    settled.at(1, 0, 0)?;
    stream.write_all(b"GET / HT")?;
    settled.at(1, 1, 0)?;
    reset(stream)
}

pub fn two_browsers(server: SocketAddrV4, settled: &Settled) -> io::Result<()> {
    let mut first = connect(server)?;
    settled.at(1, 0, 0)?;
    let mut second = connect(server)?;
    settled.at(2, 0, 0)?;
    first.write_all(REQUEST)?;
    settled.at(2, 1, 0)?;
    second.write_all(REQUEST)?;
    settled.at(2, 2, 0)?;
    take_leave(first)?;
    settled.at(2, 2, 1)?;
    take_leave(second)
}

pub fn stays_for_more(server: SocketAddrV4) -> io::Result<OwnedFd> {
    let mut stream = connect(server)?;
    stream.write_all(REQUEST)?;
    stream.read_exact(&mut [0])?;
    Ok(stream.into())
}

/// One message, answered, and the connection left open.
pub fn stays(server: SocketAddrV4) -> io::Result<OwnedFd> {
    let mut stream = connect(server)?;
    ask(&mut stream, b"hello")?;
    Ok(stream.into())
}

// ---- In the place of a UDP client ----

fn datagrams() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(ANY_PORT)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

pub fn three_datagrams(server: SocketAddrV4) -> io::Result<()> {
    let socket = datagrams()?;
    for words in THREE {
        socket.send_to(words, server)?;
        socket.recv(&mut [0; 100])?;
    }
    Ok(())
}

pub fn asks(server: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = datagrams()?;
    socket.send_to(b"hello", server)?;
    socket.recv(&mut [0; 100])?;
    Ok(socket.into())
}

pub fn sends_and_leaves(server: SocketAddrV4) -> io::Result<()> {
    datagrams()?.send_to(b"hello", server).map(drop)
}

// ---- In the place of a TCP server ----

/// A bound port without a listener: connect is refused, and no other program can take the port.
pub fn not_listening() -> io::Result<Place> {
    let make = || {
        // A program started at the same time must not inherit it.
        let sock = socket(PF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)?;
        let mut address = sockaddr_in::zeroed();
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(Ipv4Addr::LOCALHOST.to_bits());
        bind(&sock, &address)?;
        let address: sockaddr_in = getsockname(&sock)?;
        Ok((sock, ntohs(address.sin_port)))
    };
    let (sock, port) = make().map_err(io_error)?;
    Ok(at(port, || Ok(sock)))
}

pub fn listening() -> io::Result<Place> {
    let (listener, port) = listener()?;
    Ok(at(port, || Ok(listener.into())))
}

fn listener() -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(ANY_PORT)?;
    let patience = timeval {
        tv_sec: 15,
        tv_usec: 0,
    };
    setsockopt(&listener.as_fd(), SOL_SOCKET, SO_RCVTIMEO, &patience).map_err(io_error)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn for_one_client(
    role: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static,
) -> io::Result<Place> {
    let (listener, port) = listener()?;
    let script = move || {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        role(stream)?;
        Ok(listener.into())
    };
    Ok(at(port, script))
}

pub fn leaves() -> io::Result<Place> {
    for_one_client(take_leave)
}

pub fn breaks_off() -> io::Result<Place> {
    for_one_client(|mut stream| {
        stream.write_all(b"hel")?;
        take_leave(stream)
    })
}

/// Answers before it has read anything, and never reads: the client's bytes fill all buffers, even
/// these small ones.
pub fn answers_unread() -> io::Result<Place> {
    let (listener, port) = listener()?;
    setsockopt(&listener.as_fd(), SOL_SOCKET, SO_RCVBUF, &1).map_err(io_error)?;
    let script = move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"FULL\n")?;
        Ok(stream.into())
    };
    Ok(at(port, script))
}

pub fn resets_client() -> io::Result<Place> {
    for_one_client(|mut stream| {
        stream.read_exact(&mut [0; 5])?;
        reset(stream)
    })
}

// ---- In the place of a Web server ----

/// Answers a request with these bytes, and closes.
fn responds(response: Vec<u8>) -> io::Result<Place> {
    for_one_client(move |mut stream| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.extend(byte);
        }
        stream.write_all(&response)?;
        take_leave(stream)
    })
}

pub fn has_chunks() -> io::Result<Place> {
    let head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    responds(
        [head, "5;x\r\nhello\r\n1\r\n\n\r\n0\r\nX: y\r\n\r\n"]
            .concat()
            .into(),
    )
}

/// A page that fits one recv: the kernel cuts a longer one in different ways, which would show in
/// the writes.
pub fn has_large_page() -> io::Result<Place> {
    let mut response = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    response.extend((b'a'..=b'z').cycle().take(10_000));
    responds(response)
}

pub fn has_half_a_page() -> io::Result<Place> {
    responds(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec())
}

// ---- In the place of a UDP server ----

/// A UDP socket with a port; it takes datagrams and never answers.
pub fn silent() -> io::Result<Place> {
    let socket = datagrams()?;
    Ok(at(socket.local_addr()?.port(), || Ok(socket.into())))
}

/// A port that refuses every datagram: its socket is connected to itself.
pub fn closed() -> io::Result<Place> {
    let socket = datagrams()?;
    let own = socket.local_addr()?;
    socket.connect(own)?;
    Ok(at(own.port(), || Ok(socket.into())))
}

fn with_datagrams(role: fn(&UdpSocket) -> io::Result<()>) -> io::Result<Place> {
    let socket = datagrams()?;
    let port = socket.local_addr()?.port();
    let script = move || {
        role(&socket)?;
        Ok(socket.into())
    };
    Ok(at(port, script))
}

pub fn answers_the_second() -> io::Result<Place> {
    with_datagrams(|socket| {
        let mut buffer = [0; 100];
        socket.recv_from(&mut buffer)?;
        let (len, client) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len], client).map(drop)
    })
}

pub fn stranger_first() -> io::Result<Place> {
    with_datagrams(|socket| {
        let mut buffer = [0; 100];
        let (len, client) = socket.recv_from(&mut buffer)?;
        datagrams()?.send_to(b"not your server", client)?;
        socket.send_to(&buffer[..len], client).map(drop)
    })
}

// ---- Addresses without a peer ----

/// An address for documentation (RFC 5737): no machine has it.
pub fn not_here() -> io::Result<Place> {
    let (listener, _) = listener()?;
    let address = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 0);
    Ok(Place {
        address,
        script: Box::new(|| Ok(listener.into())),
    })
}

/// TCP cannot connect to a broadcast address; UDP sends to one only with SO_BROADCAST.
pub fn broadcast() -> io::Result<Place> {
    let (listener, _) = listener()?;
    let address = SocketAddrV4::new(Ipv4Addr::BROADCAST, 9);
    Ok(Place {
        address,
        script: Box::new(|| Ok(listener.into())),
    })
}
