//! What the calls beyond the lectures' own do, and what addresses and errors become.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use sockstep::Errno::{EADDRINUSE, EAFNOSUPPORT, EAGAIN, EINVAL, ENAMETOOLONG};
use sockstep::*;

use crate::sockets::{bound, listener, name, pair, tcp, udp};

#[test]
fn addresses_convert_to_the_standard_librarys_and_back_and_sort_as_they_do() {
    let texts = [
        "127.0.0.1:80",
        "10.0.0.1:9",
        "127.0.0.1:7",
        "[::1]:80",
        "[fe80::1%3]:7",
    ];
    let mut std: Vec<SocketAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let mut ours: Vec<AnyAddr> = std.iter().map(|&addr| addr.into()).collect();
    for (ours, theirs) in ours.iter().zip(&std) {
        assert_eq!(ours.to_string(), theirs.to_string());
        assert_eq!(SocketAddr::try_from(*ours), Ok(*theirs));
    }
    std.sort_unstable();
    ours.sort_unstable_by_key(|addr| (addr.family(), addr.v4(), addr.v6()));
    assert_eq!(
        ours.iter().map(ToString::to_string).collect::<Vec<_>>(),
        std.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    assert_eq!(ours.iter().collect::<HashSet<_>>().len(), texts.len());
    assert!(htons(256) > htons(255) && htonl(256) > htonl(255)); // as numbers, not as bytes
    let other = SocketAddr::try_from(AnyAddr::from(sockaddr_un::zeroed()));
    assert_eq!(other.unwrap_err(), EAFNOSUPPORT);
}

#[test]
fn an_error_is_an_io_error_with_its_errno_or_a_code_of_the_resolvers() {
    let error = Error::new("bind", EADDRINUSE);
    assert_eq!((error.eai(), size_of::<Result<usize>>()), (None, 16));
    assert_eq!(
        io::Error::from(error).raw_os_error(),
        Some(EADDRINUSE as i32)
    );
    assert_eq!(
        format!("{error:?}"),
        r#"Error { call: "bind", errno: EADDRINUSE }"#
    );
    let error = getaddrinfo(None, None, None).unwrap_err();
    assert_eq!(error.eai(), Some(EAI_NONAME));
    assert_eq!(io::Error::from(error).to_string(), error.to_string());
    is_shared::<AddrInfoList>();
}

/// Whether any thread may have it.
fn is_shared<T: Send + Sync>() {}

#[test]
fn a_name_on_this_machine_prints_as_it_is_and_comes_back() {
    let (listener, client) = (
        socket(AF_UNIX, SOCK_STREAM, 0).unwrap(),
        socket(AF_UNIX, SOCK_STREAM, 0).unwrap(),
    );
    let dir = short_scratch("un");
    let addr = sockaddr_un::of_path(dir.join("a socket")).unwrap();
    bind(&listener, &addr).unwrap();
    listen(&listener, 5).unwrap();
    connect(&client, &addr).unwrap();
    let (_, unnamed) = accept::<sockaddr_un>(&listener).unwrap();
    assert_eq!(
        (unnamed.path(), unnamed.to_string()),
        (None, "(unnamed)".to_owned())
    );
    let peer: AnyAddr = getpeername(&client).unwrap();
    assert_eq!(peer.un(), Some(addr));
    assert_eq!(peer.to_string(), dir.join("a socket").to_str().unwrap());
    assert_eq!(SUN_LEN(&addr) + 1, peer.addrlen());

    let name = sockaddr_un::of_abstract(b"sockstep\0\n\xff").unwrap();
    assert_eq!(name.to_string(), r"@sockstep\x00\n\xff");
    assert_eq!(
        format!("{name:?}"),
        r#"{sa_family=AF_UNIX, sun_path=@"sockstep\x00\n\xff"}"#
    );
    assert_eq!(name.addrlen(), 2 + 1 + 11);
    for (path, errno) in [
        (vec![b'x'; 108], ENAMETOOLONG),
        (vec![], EINVAL),
        (b"a\0b".to_vec(), EINVAL),
    ] {
        let path = Path::new(std::ffi::OsStr::from_bytes(&path));
        assert_eq!(sockaddr_un::of_path(path).unwrap_err(), errno);
    }
    // A path of 108 bytes has no room for its 0, and the kernel counts it all the same.
    let mut longest = sockaddr_un::zeroed();
    longest.sun_family = AF_UNIX;
    let at = dir.to_str().unwrap().len();
    longest.sun_path.fill(b'x');
    longest.sun_path[..at].copy_from_slice(dir.to_str().unwrap().as_bytes());
    longest.sun_path[at] = b'/';
    let sock = socket(AF_UNIX, SOCK_DGRAM, 0).unwrap();
    bind(&sock, &longest).unwrap();
    assert_eq!(getsockname::<sockaddr_un>(&sock), Ok(longest));
    assert_eq!(getsockname::<AnyAddr>(&sock).unwrap().un(), Some(longest));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn accept_and_recvfrom_ask_for_no_address() {
    let (listener, client) = (listener(), tcp());
    connect(&client, &name(&listener)).unwrap();
    let (server, ()) = accept(&listener).unwrap();
    send(&client, b"hello", 0).unwrap();
    let (n, ()) = recvfrom(&server, &mut [0; 16], 0).unwrap();
    assert_eq!(n, 5);
    let client = tcp();
    connect(&client, &name(&listener)).unwrap();
    let (server, peer) = accept4::<sockaddr_in>(&listener, SOCK_NONBLOCK | SOCK_CLOEXEC).unwrap();
    assert_eq!(peer, name(&client));
    assert_eq!(recv(&server, &mut [0], 0).unwrap_err(), EAGAIN);
}

#[test]
fn sockatmark_is_true_where_the_urgent_byte_was() {
    let (client, server) = pair();
    assert_eq!(sockatmark(&server), Ok(false));
    send(&client, b"a", 0).unwrap();
    send(&client, b"!", MSG_OOB).unwrap();
    send(&client, b"b", 0).unwrap();
    let mut buf = [0; 16];
    assert_eq!(recv(&server, &mut buf, 0), Ok(1)); // up to the mark
    assert_eq!(sockatmark(&server), Ok(true));
    assert_eq!(sockatmark(&bound(udp())).unwrap_err(), Errno::ENOTTY);
    assert_eq!(sockatmark(&io::stdin()).unwrap_err().call(), "sockatmark");
}

/// An empty directory with a short path: a UNIX name has 108 bytes.
fn short_scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("sockstep-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}
