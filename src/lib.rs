//! The Berkeley socket API, step by step: one function is one C call.
//!
//! | C header | module | calls |
//! | --- | --- | --- |
//! | `<sys/socket.h>`, `<unistd.h>` | [`mod@socket`] | [`socket()`], [`bind`], [`listen`], [`accept`], [`connect`], [`send`], [`recv`], [`sendto`], [`recvfrom`], [`read`], [`write`](fn@write), [`shutdown`], [`close`], [`getsockname`], [`getpeername`], [`setsockopt`], [`getsockopt`], [`socketpair`], [`accept4`], [`sockatmark`] |
//! | `<sys/un.h>` | [`un`] | [`sockaddr_un`], [`SUN_LEN`] |
//! | `<netinet/in.h>`, `<arpa/inet.h>` | [`netinet`] | [`htons`], [`htonl`], [`ntohs`], [`ntohl`], [`inet_addr`], [`inet_aton`], [`inet_ntoa`], [`inet_pton`], [`inet_ntop`] |
//! | `<netdb.h>` | [`netdb`] | [`getaddrinfo`], [`freeaddrinfo`], [`getnameinfo`], [`gai_strerror`], [`getservbyname`], `gethostbyname` |
//! | the rest of `<sys/socket.h>` | [`msg`] | [`sendmsg`], [`recvmsg`], [`sendmmsg`], [`recvmmsg`], [`CMSG_SPACE`] |
//! | `<net/if.h>` | [`net_if`] | [`if_nametoindex`], [`if_indextoname`], [`if_nameindex`] |
//! | `<poll.h>` | [`mod@poll`] | [`poll()`](fn@poll) |
//! | `<sys/select.h>` | [`mod@select`] | [`select()`](fn@select), [`FD_ZERO`], [`FD_SET`], [`FD_CLR`], [`FD_ISSET`] |
//! | `<sys/epoll.h>` | [`epoll`] | [`epoll_create1`], [`epoll_create`], [`epoll_ctl`], [`epoll_wait`] |
//! | `<fcntl.h>` | [`mod@fcntl`] | [`fcntl()`](fn@fcntl) |
//! | `<pthread.h>` | [`pthread`] | [`pthread_create`], [`pthread_join`], [`pthread_detach`], [`pthread_attr_init`], [`pthread_attr_setstacksize`] |
//! | `<errno.h>` | [`error`] | [`Error`], [`Errno`], [`perror`] |
//!
//! Names, argument order and constants are C's. A lower-case type (`sockaddr_in`) has C's layout, which the build checks
//! against this machine's headers; a CamelCase type is ours. What C passes through a pointer to be filled in comes back as
//! a result, lengths come from types, and a descriptor is owned: [`close`] takes it.
//!
//! ```
//! use sockstep::*;
//!
//! // A server ...
//! let serv_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
//! let mut serv_addr = sockaddr_in::zeroed();
//! serv_addr.sin_family = AF_INET;
//! serv_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
//! serv_addr.sin_port = htons(0); // any free port
//! bind(&serv_sock, &serv_addr)?;
//! listen(&serv_sock, 5)?;
//!
//! // ... a client ...
//! let sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
//! connect(&sock, &getsockname::<sockaddr_in>(&serv_sock)?)?;
//! send(&sock, b"hello", 0)?;
//!
//! // ... and the two together.
//! let (clnt_sock, clnt_addr) = accept::<sockaddr_in>(&serv_sock)?;
//! let mut buffer = [0; 16];
//! let n = recv(&clnt_sock, &mut buffer, 0)?;
//! assert_eq!(&buffer[..n], b"hello");
//! assert_eq!(clnt_addr, getsockname(&sock)?);
//! close(clnt_sock)?;
//! # Ok::<(), Error>(())
//! ```

mod abi;
pub mod epoll;
pub mod error;
pub mod fcntl;
mod flags;
pub mod msg;
pub mod net_if;
pub mod netdb;
pub mod netinet;
pub mod poll;
pub mod pthread;
pub mod select;
pub mod socket;
pub mod un;

pub use epoll::*;
pub use error::*;
pub use fcntl::*;
pub use msg::*;
pub use net_if::*;
pub use netdb::*;
pub use netinet::*;
pub use poll::*;
pub use pthread::*;
pub use select::*;
pub use socket::*;
pub use un::*;

/// The headers that nearly every example includes: `<sys/socket.h>`, `<netinet/in.h>`, `<arpa/inet.h>`, `<netdb.h>`, `<errno.h>`.
pub mod prelude {
    pub use crate::{error::*, netdb::*, netinet::*, socket::*};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../ffi-notes.md")]
struct FfiNotes;
