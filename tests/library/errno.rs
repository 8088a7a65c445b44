//! The errors that Linux returns, for every wrong argument that safe code can still pass.
//!
//! The rows were measured in C, on Linux 6.18. [`rows`] has those that our types let through, [`IMPOSSIBLE`] the others.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{env, io};

use libc::c_long;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll as wait_for};
use sockstep::Errno::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EBADF, ECONNREFUSED, ECONNRESET,
    EDESTADDRREQ, EDOM, EEXIST, EFAULT, EINPROGRESS, EINVAL, EISCONN, EISDIR, EMFILE, EMSGSIZE,
    ENETUNREACH, ENODEV, ENOENT, ENOPROTOOPT, ENOSPC, ENOTCONN, ENOTDIR, ENOTSOCK, EOPNOTSUPP,
    EPERM, EPIPE, EPROTONOSUPPORT, EPROTOTYPE, ESOCKTNOSUPPORT,
};
use sockstep::*;

use crate::sockets::{any_port, bound, listener, listening, make, name, pair, pending, tcp, udp};

// ---- The tables ----

/// One call, and what Linux answers to it.
struct Row {
    call: &'static str,
    what: &'static str,
    answer: Answer,
    run: fn() -> Result<usize>,
}

type Answer = std::result::Result<usize, Errno>;

/// `CALL -> RETURNS { "what is wrong" => answer, the call; .. }`: a row's last step is the call that it is about.
macro_rules! rows {
    ($($call:ident -> $returns:ident { $($what:literal => $answer:expr, $run:expr;)* })*) => {
        vec![$($(Row {
            call: stringify!($call),
            what: $what,
            answer: $answer,
            run: || $run.map($returns),
        },)*)*]
    };
}

/// What a call returns that returns no count.
fn zero<T>(_: T) -> usize {
    0
}

fn count(n: usize) -> usize {
    n
}

fn count_of((n, _): (usize, sockaddr_in)) -> usize {
    n
}

/// The rows that anyone may try.
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn rows() -> Vec<Row> {
    rows! {
        socket -> zero {
            "domain 0 (AF_UNSPEC)" => Err(EAFNOSUPPORT), socket(AF_UNSPEC, SOCK_STREAM, 0);
            "STREAM + UDP" => Err(EPROTONOSUPPORT), socket(AF_INET, SOCK_STREAM, IPPROTO_UDP);
            "DGRAM + TCP" => Err(EPROTONOSUPPORT), socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP);
            "STREAM + ICMP" => Err(EPROTONOSUPPORT), socket(AF_INET, SOCK_STREAM, IPPROTO_ICMP);
            "protocol -1" => Err(EINVAL), socket(AF_INET, SOCK_STREAM, -1);
            "protocol 999" => Err(EINVAL), socket(AF_INET, SOCK_STREAM, 999);
            "INET SEQPACKET" => Err(ESOCKTNOSUPPORT), socket(AF_INET, SOCK_SEQPACKET, 0);
            "UNIX + proto 6" => Err(EPROTONOSUPPORT), socket(AF_UNIX, SOCK_STREAM, IPPROTO_TCP);
            "RAW proto 0" => Err(EPROTONOSUPPORT), socket(AF_INET, SOCK_RAW, 0);
            "domain 9999" => Err(EAFNOSUPPORT), socket(family_by_number(9999), SOCK_STREAM, 0);
            "type 0" => Err(ESOCKTNOSUPPORT), socket(AF_INET, Hints::zeroed().ai_socktype, 0);
        }
        bind -> zero {
            "O_PATH fd" => Err(EBADF), bind(&path_only(), &any_port());
            "not a socket" => Err(ENOTSOCK), bind(&directory(), &any_port());
            "AF_UNIX address on INET socket" => Err(EAFNOSUPPORT), bind(&tcp(), &of_family(AF_UNIX));
            "AF_INET6 address on INET socket" => Err(EAFNOSUPPORT), bind(&tcp(), &of_family(AF_INET6));
            "AF_UNSPEC addr 0.0.0.0 on INET socket" => Ok(0), bind(&tcp(), &of_family(AF_UNSPEC));
            "non-local address" => Err(EADDRNOTAVAIL), bind(&tcp(), &address(ELSEWHERE, 0));
            "port 0 (ephemeral)" => Ok(0), bind(&tcp(), &any_port());
            "already bound" => Err(EINVAL), bind(&bound(tcp()), &any_port());
            "port in use (other bound, not listening)" => Err(EADDRINUSE), {
                let other = bound(tcp());
                bind(&tcp(), &name(&other))
            };
            "port in use + SO_REUSEADDR only on the 2nd" => Err(EADDRINUSE), {
                let other = bound(tcp());
                bind(&reusing(tcp()), &name(&other))
            };
            "port bound not listening, SO_REUSEADDR on both" => Ok(0), {
                let other = bound(reusing(tcp()));
                bind(&reusing(tcp()), &name(&other))
            };
            "port listened on + SO_REUSEADDR" => Err(EADDRINUSE), {
                let other = listening(bound(reusing(tcp())));
                bind(&reusing(tcp()), &name(&other))
            };
            "AF_INET address on INET6 socket" => Err(EINVAL), bind(&make(AF_INET6, SOCK_STREAM), &any_port());
            "link-local without scope id" => Err(EINVAL), {
                let mut addr = any_port_in_ipv6();
                addr.sin6_addr = inet_pton(AF_INET6, "fe80::1").unwrap();
                bind(&make(AF_INET6, SOCK_STREAM), &addr)
            };
        }
        bind -> zero {
            "addrlen 3" => Err(EINVAL), bind(&tcp(), &AnyAddr::from(any_port()).with_addrlen(3));
            "INET6 addrlen 24 (RFC2133 short)" => Err(EINVAL), {
                let mut addr = any_port_in_ipv6();
                addr.sin6_addr = inet_pton(AF_INET6, "fe80::1").unwrap();
                addr.sin6_scope_id = 1; // which is beyond
                bind(&make(AF_INET6, SOCK_STREAM), &AnyAddr::from(addr).with_addrlen(24))
            };
            "UNIX ENOENT dir" => Err(ENOENT), bind(&unix(SOCK_STREAM), &path("/nosuch/sock"));
            "UNIX non-directory prefix" => Err(ENOTDIR), bind(&unix(SOCK_STREAM), &path("/dev/null/sock"));
            "UNIX on proc" => Err(ENOENT), bind(&unix(SOCK_STREAM), &path("/proc/sock"));
            "UNIX fresh path" => Ok(0), bind(&unix(SOCK_STREAM), &Fresh::new().addr);
            "UNIX already bound" => Err(EADDRINUSE), {
                let (sock, fresh) = (unix(SOCK_STREAM), Fresh::new());
                bind(&sock, &fresh.addr).unwrap();
                bind(&sock, &fresh.addr)
            };
            "UNIX existing path" => Err(EADDRINUSE), bind(&unix(SOCK_STREAM), &path("/dev/null"));
            "UNIX stale path (owner closed)" => Err(EADDRINUSE), {
                let fresh = Fresh::new();
                bind(&unix(SOCK_STREAM), &fresh.addr).unwrap(); // and closed
                bind(&unix(SOCK_STREAM), &fresh.addr)
            };
        }
        listen -> zero {
            "not a socket" => Err(ENOTSOCK), listen(&directory(), 5);
            "UDP" => Err(EOPNOTSUPP), listen(&bound(udp()), 5);
            "unbound TCP (autobinds ephemeral)" => Ok(0), listen(&tcp(), 5);
            "twice (changes backlog)" => Ok(0), listen(&listener(), 1);
            "backlog -1" => Ok(0), listen(&bound(tcp()), -1);
            "backlog INT_MAX (silently capped at somaxconn)" => Ok(0), listen(&bound(tcp()), i32::MAX);
            "connected TCP" => Err(EINVAL), listen(&pair().0, 5);
            "unbound UNIX stream" => Err(EINVAL), listen(&make(AF_UNIX, SOCK_STREAM), 5);
            "UNIX dgram" => Err(EOPNOTSUPP), listen(&make(AF_UNIX, SOCK_DGRAM), 5);
            "2nd socket bound to same port (SO_REUSEADDR), 1st listening" => Err(EADDRINUSE), {
                let first = bound(reusing(tcp()));
                let second = reusing(tcp());
                bind(&second, &name(&first)).unwrap();
                let _first = listening(first);
                listen(&second, 5)
            };
        }
        accept -> zero {
            "O_PATH fd" => Err(EBADF), accept::<sockaddr_in>(&path_only());
            "not a socket" => Err(ENOTSOCK), accept::<sockaddr_in>(&directory());
            "UDP" => Err(EOPNOTSUPP), accept::<sockaddr_in>(&bound(udp()));
            "not listening" => Err(EINVAL), accept::<sockaddr_in>(&bound(tcp()));
            "connected socket" => Err(EINVAL), accept::<sockaddr_in>(&pair().0);
            "nothing queued, O_NONBLOCK" => Err(EAGAIN), {
                accept::<sockaddr_in>(&listening(bound(make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK))))
            };
            "nothing queued, SO_RCVTIMEO expires" => Err(EAGAIN), {
                accept::<sockaddr_in>(&impatient(SO_RCVTIMEO, listener()))
            };
            "client sent RST before accept (Linux: accept succeeds)" => Ok(0), {
                let (listener, client) = (listener(), tcp());
                connect(&client, &name(&listener)).unwrap();
                reset(client);
                accept::<sockaddr_in>(&listener)
            };
            "listener after shutdown(SHUT_RD)" => Err(EINVAL), {
                let listener = listener();
                shutdown(&listener, SHUT_RD).unwrap();
                accept::<sockaddr_in>(&listener)
            };
        }
        connect -> zero {
            "addrlen 3" => Err(EINVAL), connect(&tcp(), &AnyAddr::from(any_port()).with_addrlen(3));
            "family 47" => Err(EAFNOSUPPORT), connect(&tcp(), &of_family(family_by_number(47)));
            "UNIX missing path" => Err(ENOENT), connect(&unix(SOCK_STREAM), &path("/nosuch"));
            "UNIX path is not a socket" => Err(ECONNREFUSED), connect(&unix(SOCK_STREAM), &path("/dev/null"));
            "UNIX stream to dgram socket" => Err(EPROTOTYPE), {
                let (receiver, fresh) = (unix(SOCK_DGRAM), Fresh::new());
                bind(&receiver, &fresh.addr).unwrap();
                connect(&unix(SOCK_STREAM), &fresh.addr)
            };
            "UDP broadcast without SO_BROADCAST" => Err(EACCES), connect(&udp(), &address(BROADCAST, 9));
            "not a socket" => Err(ENOTSOCK), connect(&directory(), &address(LOOPBACK, 9));
            "INET6 address on INET socket" => Err(EAFNOSUPPORT), connect(&tcp(), &of_family(AF_INET6));
            "ok" => Ok(0), connect(&tcp(), &name(&listener()));
            "already connected" => Err(EISCONN), {
                let (client, _server) = pair();
                connect(&client, &getpeername::<sockaddr_in>(&client).unwrap())
            };
            "on a listening socket" => Err(EISCONN), connect(&listener(), &name(&listener()));
            "no server listens" => Err(ECONNREFUSED), connect(&tcp(), &name(&bound(tcp())));
            "nobody listens, retry on the same socket" => Err(ECONNREFUSED), {
                let (client, nobody) = (tcp(), bound(tcp()));
                connect(&client, &name(&nobody)).unwrap_err();
                connect(&client, &name(&nobody))
            };
            "O_NONBLOCK nobody listens" => Err(EINPROGRESS), {
                connect(&make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK), &name(&bound(tcp())))
            };
            "O_NONBLOCK nobody listens, 2nd connect reports the outcome" => Err(ECONNREFUSED), {
                let nobody = bound(tcp());
                connect(&started(&nobody), &name(&nobody))
            };
            "O_NONBLOCK nobody listens, 3rd connect" => Err(EINPROGRESS), {
                let nobody = bound(tcp());
                let client = started(&nobody);
                connect(&client, &name(&nobody)).unwrap_err();
                connect(&client, &name(&nobody))
            };
            "O_NONBLOCK to a listener" => Err(EINPROGRESS), {
                connect(&make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK), &name(&listener()))
            };
            "O_NONBLOCK to a listener, 2nd connect" => Ok(0), {
                let listener = listener();
                connect(&started(&listener), &name(&listener))
            };
            "O_NONBLOCK to a listener, 3rd connect" => Err(EISCONN), {
                let listener = listener();
                let client = started(&listener);
                connect(&client, &name(&listener)).unwrap();
                connect(&client, &name(&listener))
            };
            "TCP port 0" => Err(ECONNREFUSED), connect(&tcp(), &address(LOOPBACK, 0));
            "TCP 0.0.0.0 (means loopback)" => Ok(0), {
                let listener = listener();
                connect(&tcp(), &address(INADDR_ANY, ntohs(name(&listener).sin_port)))
            };
            "TCP to broadcast" => Err(ENETUNREACH), connect(&tcp(), &address(BROADCAST, 9));
            "TCP to multicast" => Err(ENETUNREACH), connect(&tcp(), &address(MULTICAST, 9));
            "TCP AF_UNSPEC on fresh socket (disconnect)" => Ok(0), connect(&tcp(), &of_family(AF_UNSPEC));
            "UDP port 0 (accepted!)" => Ok(0), connect(&udp(), &address(LOOPBACK, 0));
            "UDP AF_UNSPEC: dissolves association" => Ok(0), {
                let sock = udp_to(&bound(udp()));
                connect(&sock, &of_family(AF_UNSPEC)).inspect(|()| {
                    assert_eq!(getpeername::<sockaddr_in>(&sock).unwrap_err(), ENOTCONN);
                })
            };
            "TCP self-connect to own bound port (succeeds!)" => Ok(0), {
                let sock = bound(tcp());
                connect(&sock, &name(&sock))
            };
        }
        send -> count {
            "client sent RST before accept: send on it" => Err(EPIPE), {
                let server = reset_before_accept();
                recv(&server, &mut [0], 0).unwrap_err();
                send(&server, b"x", 0)
            };
            "not a socket" => Err(ENOTSOCK), send(&directory(), b"x", 0);
            "0 bytes TCP" => Ok(0), send(&pair().0, b"", 0);
            "unconnected TCP" => Err(EPIPE), send(&tcp(), b"x", 0);
            "unconnected UDP" => Err(EDESTADDRREQ), send(&udp(), b"x", 0);
            "UDP 128 KiB" => Err(EMSGSIZE), send(&udp_to(&bound(udp())), &ZEROS, 0);
            "UDP 65507 (max)" => Ok(65507), send(&udp_to(&bound(udp())), &ZEROS[..65507], 0);
            "UDP 65508" => Err(EMSGSIZE), send(&udp_to(&bound(udp())), &ZEROS[..65508], 0);
            "UDP 0 bytes (a datagram)" => Ok(0), {
                let receiver = bound(udp());
                send(&udp_to(&receiver), b"", 0).inspect(|_| wait(&receiver, PollFlags::POLLIN))
            };
            "UDP MSG_OOB" => Err(EOPNOTSUPP), send(&udp_to(&bound(udp())), b"x", MSG_OOB);
            "after shutdown(SHUT_WR)" => Err(EPIPE), {
                let (client, _server) = pair();
                shutdown(&client, SHUT_WR).unwrap();
                send(&client, b"x", 0)
            };
            "peer closed: first send" => Ok(1), {
                let (client, server) = pair();
                close(server).unwrap();
                send(&client, b"x", 0)
            };
            "peer closed: second send" => Err(EPIPE), {
                let (client, server) = pair();
                close(server).unwrap();
                send(&client, b"x", 0).unwrap();
                wait(&client, PollFlags::POLLERR);
                send(&client, b"x", 0)
            };
            "peer closed with unread data (RST came): send" => Err(ECONNRESET), {
                send(&closed_with_unread_data(b""), b"x", 0)
            };
            "peer closed with unread data (RST came): send again" => Err(EPIPE), {
                let client = closed_with_unread_data(b"");
                send(&client, b"x", 0).unwrap_err();
                send(&client, b"x", 0)
            };
            "O_NONBLOCK, buffer full" => Err(EAGAIN), {
                let listener = listener();
                fill(&started(&listener), MsgFlags::empty())
            };
            "SO_SNDTIMEO expires" => Err(EAGAIN), {
                let (client, _server) = pair();
                fill(&impatient(SO_SNDTIMEO, client), MsgFlags::empty())
            };
            "listening socket" => Err(EPIPE), send(&listener(), b"x", 0);
            "connected UDP, port closed: first send" => Ok(1), send(&udp_to(&deaf()), b"x", 0);
            "connected UDP, port closed: second send (ICMP came)" => Err(ECONNREFUSED), {
                let deaf = deaf();
                send(&refused(&deaf), b"x", 0)
            };
            "connected UDP, port closed: third send" => Ok(1), {
                let deaf = deaf();
                let sock = refused(&deaf);
                send(&sock, b"x", 0).unwrap_err();
                send(&sock, b"x", 0)
            };
            "unknown flag bit 0x10000000" => Err(EAGAIN), {
                let listener = listener();
                fill(&started(&listener), flags_by_number(0x1000_0000)) // ignored: it fails as without
            };
        }
        recv -> count {
            "client sent RST before accept: recv on it" => Err(ECONNRESET), {
                recv(&reset_before_accept(), &mut [0], 0)
            };
            "client sent RST before accept: recv on it again" => Ok(0), {
                let server = reset_before_accept();
                recv(&server, &mut [0], 0).unwrap_err();
                recv(&server, &mut [0], 0)
            };
            "connected UDP, port closed: recv on it (pending ICMP error)" => Err(ECONNREFUSED), {
                let deaf = deaf();
                recv(&refused(&deaf), &mut [0], 0)
            };
            "not a socket" => Err(ENOTSOCK), recv(&directory(), &mut [0], 0);
            "unconnected TCP" => Err(ENOTCONN), recv(&tcp(), &mut [0], 0);
            "listening TCP" => Err(ENOTCONN), recv(&listener(), &mut [0], 0);
            "nothing there, MSG_DONTWAIT" => Err(EAGAIN), {
                let (client, _server) = pair();
                recv(&client, &mut [0], MSG_DONTWAIT)
            };
            "MSG_OOB, no urgent data" => Err(EINVAL), {
                let (client, _server) = pair();
                recv(&client, &mut [0], MSG_OOB)
            };
            "MSG_ERRQUEUE, empty" => Err(EAGAIN), {
                let (client, _server) = pair();
                recv(&client, &mut [0], MSG_ERRQUEUE)
            };
            "SO_RCVTIMEO expires" => Err(EAGAIN), {
                let (client, _server) = pair();
                recv(&impatient(SO_RCVTIMEO, client), &mut [0], 0)
            };
            "0-byte buffer with data queued" => Ok(0), {
                let (_client, server) = pair_with(b"hi");
                recv(&server, &mut [], 0)
            };
            "data" => Ok(2), {
                let (_client, server) = pair_with(b"hi");
                recv(&server, &mut [0; 16], 0)
            };
            "peer shutdown(SHUT_WR): EOF" => Ok(0), {
                let (client, server) = pair();
                shutdown(&client, SHUT_WR).unwrap();
                recv(&server, &mut [0], 0)
            };
            "peer shutdown(SHUT_WR): EOF again" => Ok(0), {
                let (client, server) = pair();
                shutdown(&client, SHUT_WR).unwrap();
                assert_eq!(recv(&server, &mut [0], 0), Ok(0));
                recv(&server, &mut [0], 0)
            };
            "peer shutdown(SHUT_WR): send still works (half-close)" => Ok(1), {
                let (client, server) = pair();
                shutdown(&client, SHUT_WR).unwrap();
                assert_eq!(recv(&server, &mut [0], 0), Ok(0));
                send(&server, b"x", 0)
            };
            "peer sent reply then close() with unread data" => Ok(5), {
                recv(&closed_with_unread_data(b"reply"), &mut [0; 16], 0)
            };
            "peer sent reply then close() with unread data, again" => Err(ECONNRESET), {
                let client = closed_with_unread_data(b"reply");
                assert_eq!(recv(&client, &mut [0; 16], 0), Ok(5));
                recv(&client, &mut [0; 16], 0)
            };
            "after own shutdown(SHUT_RD)" => Ok(0), {
                let (client, _server) = pair();
                shutdown(&client, SHUT_RD).unwrap();
                recv(&client, &mut [0], 0)
            };
            "data arriving after shutdown(SHUT_RD) still readable" => Ok(1), {
                let (client, server) = pair();
                shutdown(&server, SHUT_RD).unwrap();
                send(&client, b"x", 0).unwrap();
                until(|| recv(&server, &mut [0; 16], 0), Ok(1))
            };
            "UDP nothing" => Err(EAGAIN), recv(&bound(udp()), &mut [0], MSG_DONTWAIT);
            "UDP zero-length datagram" => Ok(0), recv(&udp_with(b""), &mut [0; 16], 0);
            "UDP 10-byte datagram into 4 bytes (rest lost)" => Ok(4), {
                recv(&udp_with(b"0123456789"), &mut [0; 4], 0)
            };
            "UDP 10-byte datagram into 4 bytes: rest?" => Err(EAGAIN), {
                let receiver = udp_with(b"0123456789");
                assert_eq!(recv(&receiver, &mut [0; 4], 0), Ok(4));
                recv(&receiver, &mut [0; 4], MSG_DONTWAIT)
            };
        }
        sendto -> count {
            "addrlen 3" => Err(EINVAL), {
                sendto(&udp(), b"x", 0, &AnyAddr::from(any_port()).with_addrlen(3))
            };
            "UDP broadcast without SO_BROADCAST" => Err(EACCES), sendto(&udp(), b"x", 0, &address(BROADCAST, 9));
            "128 KiB" => Err(EMSGSIZE), sendto(&udp(), &ZEROS, 0, &name(&bound(udp())));
            "port 0" => Err(EINVAL), sendto(&udp(), b"x", 0, &address(LOOPBACK, 0));
            "INET6 address on INET socket" => Err(EAFNOSUPPORT), sendto(&udp(), b"x", 0, &of_family(AF_INET6));
            "AF_UNSPEC family with address (treated as AF_INET)" => Ok(1), {
                let receiver = bound(udp());
                sendto(&udp(), b"x", 0, &sockaddr_in { sin_family: AF_UNSPEC, ..name(&receiver) })
                    .inspect(|_| wait(&receiver, PollFlags::POLLIN))
            };
            "connected TCP with address (ignored)" => Ok(1), {
                let (client, _server) = pair();
                sendto(&client, b"x", 0, &address(ELSEWHERE, 9))
            };
            "unconnected TCP with address" => Err(EPIPE), sendto(&tcp(), b"x", 0, &address(LOOPBACK, 9));
            "INET address on INET6 socket" => Ok(1), {
                sendto(&make(AF_INET6, SOCK_DGRAM), b"x", 0, &name(&bound(udp())))
            };
            "MSG_OOB on UDP" => Err(EOPNOTSUPP), sendto(&udp(), b"x", MSG_OOB, &name(&bound(udp())));
            "UNIX stream connected with address" => Err(EISCONN), {
                let (client, _server) = UnixStream::pair().unwrap();
                sendto(&client, b"x", 0, &of_family(AF_UNIX))
            };
        }
        recvfrom -> count_of {
            "TCP with address buffer" => Ok(1), {
                let (_client, server) = pair_with(b"x");
                recvfrom(&server, &mut [0; 16], 0)
            };
        }
        read -> count {
            "a directory" => Err(EISDIR), read(&directory(), &mut [0]);
            "open for writing only" => Err(EBADF), read(&open("/dev/null", libc::O_WRONLY), &mut [0]);
            "at the end" => Ok(0), read(&open("/dev/null", libc::O_RDONLY), &mut [0]);
        }
        write -> count {
            "open for reading only" => Err(EBADF), write(&open("/dev/null", libc::O_RDONLY), b"x");
            "a full disk" => Err(ENOSPC), write(&open("/dev/full", libc::O_WRONLY), b"x");
            "a pipe that no one reads" => Err(EPIPE), {
                let (reader, writer) = nix::unistd::pipe().unwrap();
                drop(reader);
                write(&writer, b"x")
            };
        }
        shutdown -> zero {
            "not a socket" => Err(ENOTSOCK), shutdown(&directory(), SHUT_WR);
            "unconnected TCP" => Err(ENOTCONN), shutdown(&tcp(), SHUT_WR);
            "unconnected UDP" => Err(ENOTCONN), shutdown(&udp(), SHUT_WR);
            "ok" => Ok(0), {
                let (client, _server) = pair();
                shutdown(&client, SHUT_WR)
            };
            "twice" => Ok(0), {
                let (client, _server) = pair();
                shutdown(&client, SHUT_WR).unwrap();
                shutdown(&client, SHUT_WR)
            };
            "listener SHUT_WR" => Ok(0), shutdown(&listener(), SHUT_WR);
            "listener SHUT_RD (stops listening)" => Ok(0), shutdown(&listener(), SHUT_RD);
            "after RST received" => Err(ENOTCONN), shutdown(&closed_with_unread_data(b""), SHUT_WR);
        }
        close -> zero {
            "ok" => Ok(0), close(tcp());
        }
        getsockname -> zero {
            "not a socket" => Err(ENOTSOCK), getsockname::<sockaddr_in>(&directory());
            "unbound: 0.0.0.0:0" => Ok(0), getsockname(&tcp()).inspect(|name: &sockaddr_in| {
                assert_eq!(*name, of_family(AF_INET));
            });
        }
        getpeername -> zero {
            "client sent RST before accept: getpeername on it" => Err(ENOTCONN), {
                getpeername::<sockaddr_in>(&reset_before_accept())
            };
            "not a socket" => Err(ENOTSOCK), getpeername::<sockaddr_in>(&directory());
            "unconnected UDP" => Err(ENOTCONN), getpeername::<sockaddr_in>(&udp());
            "unconnected TCP" => Err(ENOTCONN), getpeername::<sockaddr_in>(&tcp());
            "listener" => Err(ENOTCONN), getpeername::<sockaddr_in>(&listener());
            "peer closed (FIN)" => Ok(0), {
                let (client, server) = pair();
                close(server).unwrap();
                wait(&client, PollFlags::POLLIN);
                getpeername::<sockaddr_in>(&client)
            };
            "fully closed both ways" => Err(ENOTCONN), {
                let (client, server) = pair();
                close(server).unwrap();
                wait(&client, PollFlags::POLLIN);
                shutdown(&client, SHUT_WR).unwrap();
                until(|| getpeername::<sockaddr_in>(&client).map(zero), Err(ENOTCONN))
            };
        }
        setsockopt -> zero {
            "not a socket" => Err(ENOTSOCK), setsockopt(&directory(), SOL_SOCKET, SO_REUSEADDR, &1);
            "level 500" => Err(ENOPROTOOPT), setsockopt(&tcp(), Protocol::<500>, by_number(2), &1);
            "UDP level on TCP" => Err(ENOPROTOOPT), setsockopt(&tcp(), IPPROTO_UDP, by_number(2), &1);
            "read-only SO_TYPE" => Err(ENOPROTOOPT), setsockopt(&tcp(), SOL_SOCKET, SO_TYPE, &1);
            "read-only SO_ERROR" => Err(ENOPROTOOPT), setsockopt(&tcp(), SOL_SOCKET, SO_ERROR, &1);
            "SO_RCVTIMEO usec=1000000" => Err(EDOM), setsockopt(&tcp(), SOL_SOCKET, SO_RCVTIMEO, &time(0, 1_000_000));
            "SO_RCVTIMEO usec=-1" => Err(EDOM), setsockopt(&tcp(), SOL_SOCKET, SO_RCVTIMEO, &time(0, -1));
            "SO_RCVTIMEO sec=-1 (accepted)" => Ok(0), setsockopt(&tcp(), SOL_SOCKET, SO_RCVTIMEO, &time(-1, 0));
            "TCP_KEEPIDLE 0" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_TCP, TCP_KEEPIDLE, &0);
            "TCP_KEEPIDLE 40000 (>32767)" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_TCP, TCP_KEEPIDLE, &40000);
            "TCP_KEEPCNT 0" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_TCP, TCP_KEEPCNT, &0);
            "TCP_SYNCNT 0" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_TCP, TCP_SYNCNT, &0);
            "TCP_USER_TIMEOUT -1" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_TCP, TCP_USER_TIMEOUT, &-1);
            "TCP_MAXSEG 40000" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_TCP, TCP_MAXSEG, &40000);
            "IP_TTL 0" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_IP, IP_TTL, &0);
            "IP_TTL 256" => Err(EINVAL), setsockopt(&tcp(), IPPROTO_IP, IP_TTL, &256);
            "SO_RCVBUF -1 (accepted, clamped)" => Ok(0), setsockopt(&tcp(), SOL_SOCKET, SO_RCVBUF, &-1);
            "IPV6_V6ONLY on INET socket" => Err(ENOPROTOOPT), setsockopt(&tcp(), IPPROTO_IPV6, IPV6_V6ONLY, &1);
            "IPV6_V6ONLY after bind" => Err(EINVAL), {
                let sock = make(AF_INET6, SOCK_STREAM);
                bind(&sock, &any_port_in_ipv6()).unwrap();
                setsockopt(&sock, IPPROTO_IPV6, IPV6_V6ONLY, &1)
            };
            "TCP_NODELAY on UNIX" => Err(EOPNOTSUPP), setsockopt(&make(AF_UNIX, SOCK_STREAM), IPPROTO_TCP, TCP_NODELAY, &1);
            "TCP_NODELAY on UDP" => Err(ENOPROTOOPT), setsockopt(&udp(), IPPROTO_TCP, TCP_NODELAY, &1);
            "SO_REUSEPORT on UNIX" => Err(EOPNOTSUPP), setsockopt(&make(AF_UNIX, SOCK_STREAM), SOL_SOCKET, SO_REUSEPORT, &1);
        }
        epoll_create1 -> zero {
            "flags -1" => Err(EINVAL), epoll_create1(0xff);
        }
        epoll_create -> zero {
            "size 0" => Err(EINVAL), epoll_create(0);
        }
        epoll_ctl -> zero {
            "regular file" => Err(EPERM), {
                epoll_ctl(&list(), EPOLL_CTL_ADD, &open("/proc/self/exe", libc::O_RDONLY), Some(&readable()))
            };
            "itself" => Err(EINVAL), {
                let list = list();
                epoll_ctl(&list, EPOLL_CTL_ADD, &list, Some(&readable()))
            };
            "epfd is a pipe" => Err(EINVAL), epoll_ctl(&pipe(), EPOLL_CTL_ADD, &tcp(), Some(&readable()));
            "MOD unregistered" => Err(ENOENT), epoll_ctl(&list(), EPOLL_CTL_MOD, &tcp(), Some(&readable()));
            "DEL unregistered" => Err(ENOENT), epoll_ctl(&list(), EPOLL_CTL_DEL, &tcp(), None);
            "ADD" => Ok(0), epoll_ctl(&list(), EPOLL_CTL_ADD, &tcp(), Some(&readable()));
            "ADD twice" => Err(EEXIST), {
                let (list, sock) = (list(), tcp());
                epoll_ctl(&list, EPOLL_CTL_ADD, &sock, Some(&readable())).unwrap();
                epoll_ctl(&list, EPOLL_CTL_ADD, &sock, Some(&readable()))
            };
            "MOD with EPOLLEXCLUSIVE" => Err(EINVAL), {
                let (list, sock) = (list(), tcp());
                epoll_ctl(&list, EPOLL_CTL_ADD, &sock, Some(&readable())).unwrap();
                let exclusive = epoll_event { events: EPOLLIN | EPOLLEXCLUSIVE, ..readable() };
                epoll_ctl(&list, EPOLL_CTL_MOD, &sock, Some(&exclusive))
            };
            "ADD without an event" => Err(EFAULT), epoll_ctl(&list(), EPOLL_CTL_ADD, &tcp(), None);
        }
        epoll_wait -> count {
            "maxevents 0" => Err(EINVAL), epoll_wait(&list(), &mut [], 0);
            "on a pipe" => Err(EINVAL), epoll_wait(&pipe(), &mut [epoll_event::zeroed()], 0);
            "timeout 0" => Ok(0), epoll_wait(&list(), &mut [epoll_event::zeroed()], 0);
        }
        recvmsg -> count {
            "UDP 10-byte datagram into 4 bytes" => Ok(4), cut(RecvmsgFlags::empty()).map(|msg| msg.len);
            "UDP 10-byte datagram into 4 bytes with MSG_TRUNC: real length" => Ok(10), cut(MSG_TRUNC).map(|msg| msg.whole);
            "not a socket" => Err(ENOTSOCK), {
                recvmsg::<()>(&directory(), &mut [], &mut CmsgBuf::none(), 0).map(|msg| msg.len)
            };
        }
        sendmsg -> count {
            "not a socket" => Err(ENOTSOCK), sendmsg(&directory(), &MsgHdr::new(&[]), 0);
            "unconnected UDP" => Err(EDESTADDRREQ), sendmsg(&udp(), &MsgHdr::new(&[]), 0);
            "1025 buffers" => Err(EMSGSIZE), {
                let buffers = vec![io::IoSlice::new(b""); 1025];
                sendmsg(&udp_to(&bound(udp())), &MsgHdr::new(&buffers), 0)
            };
            "SCM_RIGHTS on INET socket (ignored)" => Ok(1), {
                let sock = udp_to(&bound(udp()));
                let rights = [sock.as_fd()];
                let control = CmsgBuf::of(&[Cmsg::Rights(&rights)]);
                sendmsg(&sock, &MsgHdr::new(&[io::IoSlice::new(b"x")]).with(&control), 0)
            };
        }
        socketpair -> zero {
            "INET" => Err(EOPNOTSUPP), socketpair(AF_INET, SOCK_STREAM, 0);
        }
        setsockopt -> zero {
            "join non-multicast group" => Err(EINVAL), {
                setsockopt(&udp(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group(LOOPBACK))
            };
            "leave group never joined" => Err(EADDRNOTAVAIL), {
                setsockopt(&udp(), IPPROTO_IP, IP_DROP_MEMBERSHIP, &group(0xe000_0042))
            };
            "IP option -1" => Err(ENOPROTOOPT), setsockopt(&tcp(), IPPROTO_IP, by_number(-1), &1);
            "TCP option -1" => Err(ENOPROTOOPT), setsockopt(&tcp(), IPPROTO_TCP, by_number(-1), &1);
            "SOL_SOCKET option 9999" => Err(ENOPROTOOPT), setsockopt(&tcp(), SOL_SOCKET, by_number(9999), &1);
            "SO_RCVTIMEO optlen 4" => Err(EINVAL), setsockopt(&tcp(), SOL_SOCKET, by_number(libc::SO_RCVTIMEO), &1);
            "SO_LINGER optlen 4" => Err(EINVAL), setsockopt(&tcp(), SOL_SOCKET, by_number(libc::SO_LINGER), &1);
            "TCP_CONGESTION nosuch" => Err(ENOENT), {
                setsockopt(&tcp(), IPPROTO_TCP, TCP_CONGESTION, b"nosuch\0\0\0\0\0\0\0\0\0\0")
            };
            "SO_BINDTODEVICE unknown" => Err(ENODEV), {
                setsockopt(&tcp(), SOL_SOCKET, SO_BINDTODEVICE, b"nosuchdevice\0\0\0\0")
            };
        }
        getsockopt -> zero {
            "IP option -1" => Err(ENOPROTOOPT), getsockopt::<_, i32>(&tcp(), IPPROTO_IP, by_number(-1));
            "TCP option -1" => Err(ENOPROTOOPT), getsockopt::<_, i32>(&tcp(), IPPROTO_TCP, by_number(-1));
            "SOL_SOCKET option 9999" => Err(ENOPROTOOPT), getsockopt::<_, i32>(&tcp(), SOL_SOCKET, by_number(9999));
            "optlen 1 (truncated)" => Ok(0), getsockopt::<_, u8>(&tcp(), SOL_SOCKET, by_number(libc::SO_TYPE));
            "not a socket" => Err(ENOTSOCK), getsockopt(&directory(), SOL_SOCKET, SO_TYPE);
            "level 500" => Err(EOPNOTSUPP), getsockopt::<_, i32>(&tcp(), Protocol::<500>, by_number(3));
            "UDP level on TCP" => Err(EOPNOTSUPP), getsockopt::<_, i32>(&tcp(), IPPROTO_UDP, by_number(3));
        }
    }
}

/// The rows about what the superuser alone may do.
fn rows_of_an_ordinary_user() -> Vec<Row> {
    // Containers often let everyone have the low ports.
    let first_free_port = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first_free_port: u16 = first_free_port.unwrap().trim().parse().unwrap();
    let port_80 = if first_free_port > 80 {
        Err(EACCES)
    } else {
        Ok(0)
    };
    rows! {
        socket -> zero {
            "RAW as non-root" => Err(EPERM), socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
        }
        bind -> zero {
            "port 80 as non-root" => port_80, bind(&reusing(tcp()), &address(LOOPBACK, 80));
        }
        setsockopt -> zero {
            "SO_MARK as non-root" => Err(EPERM), setsockopt(&tcp(), SOL_SOCKET, SO_MARK, &1);
            "SO_RCVBUFFORCE as non-root" => Err(EPERM), setsockopt(&tcp(), SOL_SOCKET, SO_RCVBUFFORCE, &4096);
            "SO_PRIORITY 7 as non-root" => Err(EPERM), setsockopt(&tcp(), SOL_SOCKET, SO_PRIORITY, &7);
            "SO_BINDTODEVICE lo as non-root" => Ok(0), {
                setsockopt(&tcp(), SOL_SOCKET, SO_BINDTODEVICE, b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
            };
        }
    }
}

/// The rows about a process that has all the descriptors it may have.
fn rows_without_descriptors() -> Vec<Row> {
    rows! {
        socket -> zero {
            "RLIMIT_NOFILE reached" => Err(EMFILE), {
                let _all = all_descriptors();
                socket(AF_INET, SOCK_STREAM, 0)
            };
        }
        accept -> zero {
            "RLIMIT_NOFILE reached, connection pending" => Err(EMFILE), {
                let (listener, _client) = pending();
                let _all = all_descriptors();
                accept::<sockaddr_in>(&listener)
            };
            "RLIMIT_NOFILE reached, again (the connection stays queued)" => Err(EMFILE), {
                let (listener, _client) = pending();
                let all = all_descriptors();
                accept::<sockaddr_in>(&listener).unwrap_err();
                let again = accept::<sockaddr_in>(&listener);
                drop(all);
                accept::<sockaddr_in>(&listener).unwrap(); // it did
                again
            };
        }
    }
}

/// A descriptor is owned, or borrowed from its owner: it is open.
const CLOSED: &str = "use_after_close";
const CLOSED_TWICE: &str = "double_close";
const BARE: &str = "raw_descriptor";
/// A length comes from the type, or from the slice: never negative, never beyond the memory.
const ADDRESS_LENGTH: &str = "length_of_ones_own";
const VALUE_LENGTH: &str = "option_length_of_ones_own";
/// A pointer comes from a reference.
const ADDRESS_POINTER: &str = "pointer_for_an_address";
const BUFFER_POINTER: &str = "pointer_for_a_buffer";
const VALUE_POINTER: &str = "pointer_for_a_value";
/// The constants of the type have other values.
const DOMAIN: &str = "domain_by_number";
const TYPE: &str = "type_of_ones_own";
const EPOLL_OP: &str = "epoll_op_by_number";
const HOW: &str = "shutdown_by_number";
const ACCEPT_FLAGS: &str = "accept_flags_by_number";
/// A flag of `recvmsg` alone.
const REAL_LENGTH: &str = "real_length_by_recv";

/// The measured rows that safe code cannot even ask for: the call, what was wrong, and the program of `refused/` that tries.
const IMPOSSIBLE: &[(&str, &str, &str)] = &[
    ("socket", "domain -1", DOMAIN),
    ("socket", "type 75", TYPE),
    ("socket", "type -1", TYPE),
    ("bind", "closed fd", CLOSED),
    ("bind", "addrlen -1", ADDRESS_LENGTH),
    ("bind", "addrlen 1000", ADDRESS_LENGTH),
    ("bind", "bad pointer", ADDRESS_POINTER),
    ("listen", "closed fd", CLOSED),
    ("accept", "closed fd", CLOSED),
    ("accept", "accept4 bad flags", ACCEPT_FLAGS),
    (
        "accept",
        "addrlen -1 (connection consumed and lost)",
        ADDRESS_LENGTH,
    ),
    ("accept", "addrlen 4: truncated", ADDRESS_LENGTH),
    ("connect", "closed fd", CLOSED),
    ("connect", "bad pointer", ADDRESS_POINTER),
    ("send", "closed fd", CLOSED),
    ("send", "bad pointer", BUFFER_POINTER),
    ("recv", "closed fd", CLOSED),
    ("recv", "bad pointer with data queued", BUFFER_POINTER),
    ("sendto", "addrlen -1", ADDRESS_LENGTH),
    ("sendto", "bad address pointer", ADDRESS_POINTER),
    ("sendto", "bad buffer pointer", BUFFER_POINTER),
    ("recvfrom", "addrlen -1 (datagram consumed)", ADDRESS_LENGTH),
    (
        "recvfrom",
        "addrlen -1: datagram still there?",
        ADDRESS_LENGTH,
    ),
    ("recvfrom", "addrlen 0", ADDRESS_LENGTH),
    ("shutdown", "closed fd", CLOSED),
    ("shutdown", "how=3", HOW),
    ("shutdown", "how=-1", HOW),
    ("close", "-1", BARE),
    ("close", "not open", BARE),
    ("close", "twice", CLOSED_TWICE),
    ("getsockname", "closed fd", CLOSED),
    ("getsockname", "bad pointer", ADDRESS_POINTER),
    ("getsockname", "addrlen -1", ADDRESS_LENGTH),
    ("getsockname", "addrlen 4 (truncated)", ADDRESS_LENGTH),
    ("getpeername", "closed fd", CLOSED),
    ("getpeername", "addrlen -1", ADDRESS_LENGTH),
    ("getpeername", "bad pointer", ADDRESS_POINTER),
    ("setsockopt", "closed fd", CLOSED),
    ("setsockopt", "NULL value", VALUE_POINTER),
    ("setsockopt", "optlen 0", VALUE_LENGTH),
    ("setsockopt", "optlen -1", VALUE_LENGTH),
    ("getsockopt", "closed fd", CLOSED),
    ("getsockopt", "optlen -1", VALUE_LENGTH),
    ("getsockopt", "NULL value", VALUE_POINTER),
    (
        "recv",
        "UDP 10-byte datagram into 4 bytes with MSG_TRUNC: real length",
        REAL_LENGTH,
    ),
    ("epoll_ctl", "closed epfd", CLOSED),
    ("epoll_ctl", "closed fd", CLOSED),
    ("epoll_ctl", "op 99", EPOLL_OP),
    ("epoll_wait", "bad pointer, nothing ready", BUFFER_POINTER),
];

/// How many rows were measured of each call.
const MEASURED: &[(&str, usize)] = &[
    ("accept", 15),
    ("bind", 28),
    ("close", 4),
    ("connect", 29),
    ("epoll_create", 1),
    ("epoll_create1", 1),
    ("epoll_ctl", 12),
    ("epoll_wait", 4),
    ("getpeername", 10),
    ("getsockname", 6),
    ("getsockopt", 10),
    ("listen", 11),
    ("read", 3),
    ("recv", 26),
    ("recvfrom", 4),
    ("recvmsg", 3),
    ("send", 24),
    ("sendmsg", 4),
    ("sendto", 14),
    ("setsockopt", 39),
    ("shutdown", 11),
    ("socket", 16),
    ("socketpair", 1),
    ("write", 3),
];

// ---- The tests ----

#[test]
fn every_call_answers_as_linux_does() {
    check(&rows());
}

#[test]
fn an_ordinary_user_may_not_do_all() {
    let prefix: &[&str] = if capabilities() == 0 {
        &["env"] // as we are
    } else {
        &["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    };
    in_a_child("an_ordinary_user_may_not_do_all", prefix, || {
        assert_eq!(capabilities(), 0, "this process is still a superuser's");
        check(&rows_of_an_ordinary_user());
    });
}

#[test]
fn without_descriptors_nothing_is_made_and_nothing_lost() {
    let prefix = ["prlimit", "--nofile=32"];
    in_a_child(
        "without_descriptors_nothing_is_made_and_nothing_lost",
        &prefix,
        || check(&rows_without_descriptors()),
    );
}

#[test]
fn every_measured_row_is_tested_or_impossible() {
    let tables = [
        rows(),
        rows_of_an_ordinary_user(),
        rows_without_descriptors(),
    ];
    let tested = tables.iter().flatten().map(|row| (row.call, row.what));
    let impossible = IMPOSSIBLE.iter().map(|&(call, what, _)| (call, what));

    let mut rows: Vec<_> = tested.chain(impossible).collect();
    rows.sort_unstable();
    assert!(
        rows.windows(2).all(|w| w[0] != w[1]),
        "a row is there twice"
    );

    let mut counts = BTreeMap::new();
    for (call, _) in rows {
        *counts.entry(call).or_default() += 1;
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), MEASURED);
}

#[test]
fn every_impossible_row_is_attacked_by_a_program_that_does_not_compile() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/refused");
    for (call, what, program) in IMPOSSIBLE {
        let path = dir.join(program).with_extension("rs");
        assert!(path.exists(), "{call}, {what}: no {}", path.display());
    }
}

/// Runs each row, and names all those that answered otherwise.
fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let answer = (row.run)();
        let as_expected = match (&answer, row.answer) {
            (Ok(n), Ok(expected)) => *n == expected,
            (Err(error), Err(expected)) => error.errno() == expected && error.call() == row.call,
            _ => false,
        };
        if !as_expected {
            let Row {
                call,
                what,
                answer: expected,
                ..
            } = row;
            wrong.push(format!(
                "{call}, {what}: {answer:?} instead of {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Runs `test`, which is the body of the test called `name`, in a process of its own that `prefix` starts.
fn in_a_child(name: &str, prefix: &[&str], test: fn()) {
    const CHILD: &str = "SOCKSTEP_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        return test();
    }
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(env::current_exe().unwrap());
    let name = format!("errno::{name}");
    let output = command.args(["--exact", &name]).env(CHILD, "1").output();
    let output = output.unwrap_or_else(|error| panic!("{prefix:?}: {error}: install util-linux"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{prefix:?}: {err}\n{out}");
    assert!(out.contains("1 passed"), "it did not run: {out}");
}

/// What the superuser's rights of this process are, as a mask.
fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap()
}

// ---- Addresses: all stay on this machine ----

const LOOPBACK: u32 = INADDR_LOOPBACK;
const BROADCAST: u32 = 0x7fff_ffff; // 127.255.255.255
const MULTICAST: u32 = 0xe000_0001; // 224.0.0.1
const ELSEWHERE: u32 = 0xc633_6401; // 198.51.100.1, which the documents have and no machine

fn address(host: u32, port: u16) -> sockaddr_in {
    let mut addr = of_family(AF_INET);
    addr.sin_addr.s_addr = htonl(host);
    addr.sin_port = htons(port);
    addr
}

/// Nothing but a family.
fn of_family(family: AddressFamily) -> sockaddr_in {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = family;
    addr
}

/// ::, which a machine without IPv6 addresses has too.
fn any_port_in_ipv6() -> sockaddr_in6 {
    let mut addr = sockaddr_in6::zeroed();
    addr.sin6_family = AF_INET6;
    addr
}

fn path(path: &str) -> sockaddr_un {
    sockaddr_un::of_path(path).unwrap()
}

/// A path that is not there yet, and no longer afterwards.
struct Fresh {
    addr: sockaddr_un,
}

impl Fresh {
    fn new() -> Fresh {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, SeqCst);
        let name = format!("sockstep-{}-{number}", std::process::id());
        let addr = sockaddr_un::of_path(env::temp_dir().join(name)).unwrap();
        Fresh { addr }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.addr.path().unwrap()); // perhaps nothing was bound
    }
}

// ---- Sockets ----

const DEADLINE: Duration = Duration::from_secs(60);

/// An empty list of epoll.
fn list() -> OwnedFd {
    epoll_create1(0).unwrap()
}

fn readable() -> epoll_event {
    epoll_event {
        events: EPOLLIN,
        ..epoll_event::zeroed()
    }
}

/// The reading end of a pipe whose other end is closed.
fn pipe() -> OwnedFd {
    nix::unistd::pipe().unwrap().0
}

/// A datagram of 10 bytes, received into 4.
fn cut(flags: RecvmsgFlags) -> Result<Message<()>> {
    let (mut buf, sock) = ([0; 4], udp_with(b"0123456789"));
    let msg = recvmsg(
        &sock,
        &mut [io::IoSliceMut::new(&mut buf)],
        &mut CmsgBuf::none(),
        flags,
    )?;
    assert!(msg.msg_flags.has(MSG_TRUNC) && msg.len == 4);
    Ok(msg)
}

fn group(address: u32) -> ip_mreq {
    ip_mreq {
        imr_multiaddr: in_addr {
            s_addr: htonl(address),
        },
        imr_interface: in_addr {
            s_addr: htonl(LOOPBACK),
        },
    }
}

fn unix(ty: SockType) -> OwnedFd {
    make(AF_UNIX, ty)
}

/// An option that the library has no name for, or not with such a value: through the door for unsafe code.
#[allow(unsafe_code, reason = "the rows are about what the kernel refuses")]
fn by_number<L, T: OptValue>(option: i32) -> SockOpt<L, T> {
    // SAFETY: no option in these rows makes the kernel keep or follow a pointer.
    unsafe { SockOpt::from_raw(option) }
}

#[allow(unsafe_code, reason = "the rows are about what the kernel refuses")]
fn flags_by_number(bits: i32) -> MsgFlags {
    // SAFETY: MSG_ZEROCOPY is not among them.
    unsafe { MsgFlags::from_raw(bits) }
}

#[allow(unsafe_code, reason = "the rows are about what the kernel refuses")]
fn family_by_number(number: u16) -> AddressFamily {
    // SAFETY: there is no such family.
    unsafe { AddressFamily::from_raw(number) }
}

fn time(seconds: c_long, micros: c_long) -> timeval {
    timeval {
        tv_sec: seconds,
        tv_usec: micros,
    }
}

/// One whose calls wait for a hundredth of a second only.
fn impatient(side: SockOpt<SolSocket, timeval>, sock: OwnedFd) -> OwnedFd {
    setsockopt(&sock, SOL_SOCKET, side, &time(0, 10_000)).unwrap();
    sock
}

fn reusing(sock: OwnedFd) -> OwnedFd {
    setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1).unwrap();
    sock
}

/// The two ends of a connection, where the client has sent something and the server has it.
fn pair_with(data: &[u8]) -> (OwnedFd, OwnedFd) {
    let (client, server) = pair();
    send(&client, data, 0).unwrap();
    wait(&server, PollFlags::POLLIN);
    (client, server)
}

/// A non-blocking socket whose `connect` to `server` has come to an end, for good or ill.
fn started(server: &OwnedFd) -> OwnedFd {
    let client = make(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    assert_eq!(connect(&client, &name(server)).unwrap_err(), EINPROGRESS);
    wait(&client, PollFlags::POLLOUT);
    client
}

/// Closes a connection by RST.
fn reset(sock: OwnedFd) {
    let at_once = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&sock, SOL_SOCKET, SO_LINGER, &at_once).unwrap();
    close(sock).unwrap();
}

/// The server's end of a connection whose client had disconnected before it was accepted.
fn reset_before_accept() -> OwnedFd {
    let (listener, client) = pending();
    reset(client);
    let (server, _) = accept::<sockaddr_in>(&listener).unwrap();
    wait(&server, PollFlags::POLLERR);
    server
}

/// The client's end of a connection whose server sent `reply` and closed with data unread.
fn closed_with_unread_data(reply: &[u8]) -> OwnedFd {
    let (client, server) = pair_with(b"unread");
    send(&server, reply, 0).unwrap();
    close(server).unwrap();
    wait(&client, PollFlags::POLLERR);
    client
}

static ZEROS: [u8; 128 << 10] = [0; 128 << 10];

/// Sends until the call fails.
fn fill(sock: &OwnedFd, flags: MsgFlags) -> Result<usize> {
    loop {
        send(sock, &ZEROS, flags)?;
    }
}

/// A UDP socket connected to another.
fn udp_to(peer: &OwnedFd) -> OwnedFd {
    let sock = udp();
    connect(&sock, &name(peer)).unwrap();
    sock
}

/// A UDP socket to which a datagram has come.
fn udp_with(data: &[u8]) -> OwnedFd {
    let receiver = bound(udp());
    sendto(&udp(), data, 0, &name(&receiver)).unwrap();
    wait(&receiver, PollFlags::POLLIN);
    receiver
}

/// A UDP socket that takes datagrams from itself alone. To all others its port is closed, and stays so.
fn deaf() -> OwnedFd {
    let sock = bound(udp());
    connect(&sock, &name(&sock)).unwrap();
    sock
}

/// A UDP socket whose first datagram was refused.
fn refused(deaf: &OwnedFd) -> OwnedFd {
    let sock = udp_to(deaf);
    send(&sock, b"x", 0).unwrap();
    wait(&sock, PollFlags::POLLERR);
    sock
}

fn open(path: &str, flags: i32) -> OwnedFd {
    let mode = flags & libc::O_ACCMODE;
    let mut options = OpenOptions::new();
    options.read(mode != libc::O_WRONLY);
    options.write(mode != libc::O_RDONLY);
    options.custom_flags(flags).open(path).unwrap().into()
}

fn directory() -> OwnedFd {
    open("/", libc::O_RDONLY)
}

fn path_only() -> OwnedFd {
    open("/", libc::O_PATH)
}

/// All the descriptors that this process has left.
fn all_descriptors() -> Vec<File> {
    let open = || File::open("/dev/null");
    let all: Vec<File> = std::iter::from_fn(|| open().ok()).collect();
    assert_eq!(open().unwrap_err().raw_os_error(), Some(libc::EMFILE));
    all
}

// ---- Waiting ----

/// Waits for one of `events`.
fn wait(sock: &OwnedFd, events: PollFlags) {
    let mut fds = [PollFd::new(sock.as_fd(), events)];
    let deadline = PollTimeout::try_from(DEADLINE).unwrap();
    assert_eq!(
        wait_for(&mut fds, deadline),
        Ok(1),
        "waiting for {events:?}"
    );
    let came = fds[0].revents().unwrap();
    assert!(came.intersects(events), "{came:?} instead of {events:?}");
}

/// Calls again until the answer is `expected`, and returns the last.
fn until(mut call: impl FnMut() -> Result<usize>, expected: Answer) -> Result<usize> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = call();
        if answer.map_err(|error| error.errno()) == expected || Instant::now() > deadline {
            return answer;
        }
        let a_moment = PollTimeout::from(1_u8);
        wait_for(&mut [], a_moment)
            .map_err(io::Error::from)
            .unwrap();
    }
}
