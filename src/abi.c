/*
 * abi.c - what the headers of the target say, as lines of Rust.
 *
 * build.rs compiles it for the target and reads the lines out of the object file: nothing of it runs, so it works for any
 * machine. abi.rs compares each line with what the library says. A type's line is its size, its alignment and whether it
 * is signed; a field's is its offset, its size and whether it is signed.
 */
#define _GNU_SOURCE /* for EAI_ADDRFAMILY, EAI_NODATA */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* build.rs writes the next number for each ?, and the bytes of the address for [?]. It knows these sizes too. */
struct line {
    char rust[80];
    char numbers[3][12];
    struct in6_addr address;
};

/* A number as text, so that neither its size nor its byte order matters. */
#define DIGIT(n, unit) (char)('0' + ((n) < 0 ? -(n) : (n)) / (unit) % 10)
#define TEXT(n)                                                                                     \
    {(n) < 0 ? '-' : ' ',  DIGIT(n, 1000000000), DIGIT(n, 100000000), DIGIT(n, 10000000),           \
     DIGIT(n, 1000000),    DIGIT(n, 100000),     DIGIT(n, 10000),     DIGIT(n, 1000),               \
     DIGIT(n, 100),        DIGIT(n, 10),         DIGIT(n, 1)}
#define NUMBER(n) TEXT((long long)(n))

#define WORD(yes) {(yes) ? 't' : 'f', (yes) ? 'r' : 'a', (yes) ? 'u' : 'l', (yes) ? 'e' : 's', (yes) ? 0 : 'e'}
#define SIGNED(type) WORD((type)-1 < (type)1)

#define SCALAR(type)                                                                                \
    {.rust = "pub const " #type ": (usize, usize, bool) = (?, ?, ?);",                              \
     .numbers = {NUMBER(sizeof(type)), NUMBER(_Alignof(type)), SIGNED(type)}}
#define STRUCT(type)                                                                                \
    {.rust = "pub mod " #type " {\npub const LAYOUT: (usize, usize) = (?, ?);",                     \
     .numbers = {NUMBER(sizeof(struct type)), NUMBER(_Alignof(struct type))}}
#define FIELD_OF(type, field, number)                                                               \
    {.rust = "pub const " #field ": (usize, usize, bool) = (?, ?, ?);",                             \
     .numbers = {NUMBER(offsetof(struct type, field)), NUMBER(sizeof(((struct type *)0)->field)),   \
                 SIGNED(__typeof__(((struct type *)0)->number))}}
#define FIELD(type, field) FIELD_OF(type, field, field)
#define END {.rust = "}"}
#define ADDRESS(name) {.rust = "pub const " #name ": [u8; 16] = [?];", .address = name}
#define CONSTANT(name) {.rust = "pub const " #name ": i64 = ?;", .numbers = {NUMBER(name)}}

/* Types without a tag, as the only member of one that has it. */
struct epoll_data_t {
    epoll_data_t u64;
};
struct fd_set {
    fd_set bits;
};

const struct line what_the_headers_say[] = {
    {.rust = "// What the headers of the target say."},
    SCALAR(socklen_t),
    SCALAR(ssize_t),
    SCALAR(sa_family_t),
    SCALAR(in_port_t),
    SCALAR(in_addr_t),

    STRUCT(in_addr),
    FIELD(in_addr, s_addr),
    END,
    STRUCT(sockaddr_in),
    FIELD(sockaddr_in, sin_family),
    FIELD(sockaddr_in, sin_port),
    FIELD_OF(sockaddr_in, sin_addr, sin_addr.s_addr),
    FIELD_OF(sockaddr_in, sin_zero, sin_zero[0]),
    END,
    STRUCT(in6_addr),
    FIELD_OF(in6_addr, s6_addr, s6_addr[0]),
    END,
    STRUCT(sockaddr_in6),
    FIELD(sockaddr_in6, sin6_family),
    FIELD(sockaddr_in6, sin6_port),
    FIELD(sockaddr_in6, sin6_flowinfo),
    FIELD_OF(sockaddr_in6, sin6_addr, sin6_addr.s6_addr[0]),
    FIELD(sockaddr_in6, sin6_scope_id),
    END,
    STRUCT(sockaddr_storage),
    FIELD(sockaddr_storage, ss_family),
    END,
    STRUCT(sockaddr_un),
    FIELD(sockaddr_un, sun_family),
    FIELD_OF(sockaddr_un, sun_path, sun_path[0]),
    END,
    STRUCT(pollfd),
    FIELD(pollfd, fd),
    FIELD(pollfd, events),
    FIELD(pollfd, revents),
    END,
    STRUCT(epoll_event),
    FIELD(epoll_event, events),
    FIELD_OF(epoll_event, data, data.u64),
    END,
    STRUCT(epoll_data_t),
    FIELD_OF(epoll_data_t, u64, u64.u64),
    END,
    STRUCT(fd_set),
    END,
    STRUCT(ucred),
    FIELD(ucred, pid),
    FIELD(ucred, uid),
    FIELD(ucred, gid),
    END,
    STRUCT(ip_mreq),
    FIELD_OF(ip_mreq, imr_multiaddr, imr_multiaddr.s_addr),
    FIELD_OF(ip_mreq, imr_interface, imr_interface.s_addr),
    END,
    STRUCT(ipv6_mreq),
    FIELD_OF(ipv6_mreq, ipv6mr_multiaddr, ipv6mr_multiaddr.s6_addr[0]),
    FIELD(ipv6_mreq, ipv6mr_interface),
    END,
    STRUCT(in_pktinfo),
    FIELD(in_pktinfo, ipi_ifindex),
    FIELD_OF(in_pktinfo, ipi_spec_dst, ipi_spec_dst.s_addr),
    FIELD_OF(in_pktinfo, ipi_addr, ipi_addr.s_addr),
    END,
    STRUCT(in6_pktinfo),
    FIELD_OF(in6_pktinfo, ipi6_addr, ipi6_addr.s6_addr[0]),
    FIELD(in6_pktinfo, ipi6_ifindex),
    END,
    STRUCT(timespec),
    FIELD(timespec, tv_sec),
    FIELD(timespec, tv_nsec),
    END,
    STRUCT(timeval),
    FIELD(timeval, tv_sec),
    FIELD(timeval, tv_usec),
    END,
    STRUCT(linger),
    FIELD(linger, l_onoff),
    FIELD(linger, l_linger),
    END,

    CONSTANT(AF_UNSPEC),
    CONSTANT(AF_UNIX),
    CONSTANT(AF_LOCAL),
    CONSTANT(AF_INET),
    CONSTANT(AF_INET6),
    CONSTANT(PF_UNSPEC),
    CONSTANT(PF_UNIX),
    CONSTANT(PF_INET),
    CONSTANT(PF_INET6),
    CONSTANT(SOCK_STREAM),
    CONSTANT(SOCK_DGRAM),
    CONSTANT(SOCK_RAW),
    CONSTANT(SOCK_SEQPACKET),
    CONSTANT(SOCK_CLOEXEC),
    CONSTANT(SOCK_NONBLOCK),

    CONSTANT(IPPROTO_IP),
    CONSTANT(IPPROTO_ICMP),
    CONSTANT(IPPROTO_TCP),
    CONSTANT(IPPROTO_UDP),
    CONSTANT(IPPROTO_IPV6),
    CONSTANT(IPPROTO_ICMPV6),
    CONSTANT(IPPROTO_RAW),
    CONSTANT(INADDR_ANY),
    CONSTANT(INADDR_LOOPBACK),
    CONSTANT(INADDR_BROADCAST),
    CONSTANT(INADDR_NONE),

    ADDRESS(IN6ADDR_ANY_INIT),
    ADDRESS(IN6ADDR_LOOPBACK_INIT),

    CONSTANT(SHUT_RD),
    CONSTANT(SHUT_WR),
    CONSTANT(SHUT_RDWR),

    CONSTANT(MSG_DONTWAIT),
    CONSTANT(MSG_OOB),
    CONSTANT(MSG_PEEK),
    CONSTANT(MSG_MORE),
    CONSTANT(MSG_WAITALL),
    CONSTANT(MSG_ERRQUEUE),
    CONSTANT(MSG_NOSIGNAL),
    CONSTANT(MSG_DONTROUTE),
    CONSTANT(MSG_EOR),
    CONSTANT(MSG_CONFIRM),
    CONSTANT(SOMAXCONN),

    CONSTANT(SOL_SOCKET),
    CONSTANT(SO_REUSEADDR),
    CONSTANT(SO_REUSEPORT),
    CONSTANT(SO_KEEPALIVE),
    CONSTANT(SO_BROADCAST),
    CONSTANT(SO_SNDBUF),
    CONSTANT(SO_RCVBUF),
    CONSTANT(SO_RCVBUFFORCE),
    CONSTANT(SO_PRIORITY),
    CONSTANT(SO_MARK),
    CONSTANT(SO_ERROR),
    CONSTANT(SO_TYPE),
    CONSTANT(SO_ACCEPTCONN),
    CONSTANT(SO_RCVTIMEO),
    CONSTANT(SO_SNDTIMEO),
    CONSTANT(SO_LINGER),
    CONSTANT(SO_BINDTODEVICE),
    CONSTANT(TCP_CONGESTION),
    CONSTANT(TCP_NODELAY),
    CONSTANT(TCP_MAXSEG),
    CONSTANT(TCP_KEEPIDLE),
    CONSTANT(TCP_KEEPINTVL),
    CONSTANT(TCP_KEEPCNT),
    CONSTANT(TCP_SYNCNT),
    CONSTANT(TCP_USER_TIMEOUT),
    CONSTANT(IPV6_V6ONLY),
    CONSTANT(IP_TTL),

    CONSTANT(POLLIN),
    CONSTANT(POLLPRI),
    CONSTANT(POLLOUT),
    CONSTANT(POLLRDHUP),
    CONSTANT(POLLERR),
    CONSTANT(POLLHUP),
    CONSTANT(POLLNVAL),
    CONSTANT(EPOLLIN),
    CONSTANT(EPOLLPRI),
    CONSTANT(EPOLLOUT),
    CONSTANT(EPOLLRDHUP),
    CONSTANT(EPOLLERR),
    CONSTANT(EPOLLHUP),
    CONSTANT(EPOLLET),
    CONSTANT(EPOLLONESHOT),
    CONSTANT(EPOLLEXCLUSIVE),
    CONSTANT(EPOLL_CLOEXEC),
    CONSTANT(EPOLL_CTL_ADD),
    CONSTANT(EPOLL_CTL_MOD),
    CONSTANT(EPOLL_CTL_DEL),
    CONSTANT(O_NONBLOCK),
    CONSTANT(O_APPEND),
    CONSTANT(O_RDWR),
    CONSTANT(O_WRONLY),
    CONSTANT(FD_CLOEXEC),
    CONSTANT(SO_OOBINLINE),
    CONSTANT(SO_RCVLOWAT),
    CONSTANT(SO_PEERCRED),
    CONSTANT(SO_PASSCRED),
    CONSTANT(SO_DOMAIN),
    CONSTANT(SO_PROTOCOL),
    CONSTANT(TCP_CORK),
    CONSTANT(TCP_QUICKACK),
    CONSTANT(TCP_DEFER_ACCEPT),
    CONSTANT(IP_ADD_MEMBERSHIP),
    CONSTANT(IP_DROP_MEMBERSHIP),
    CONSTANT(IP_MULTICAST_TTL),
    CONSTANT(IP_MULTICAST_LOOP),
    CONSTANT(IP_MULTICAST_IF),
    CONSTANT(IP_TOS),
    CONSTANT(IP_PKTINFO),
    CONSTANT(IPV6_JOIN_GROUP),
    CONSTANT(IPV6_LEAVE_GROUP),
    CONSTANT(IPV6_MULTICAST_HOPS),
    CONSTANT(IPV6_MULTICAST_LOOP),
    CONSTANT(IPV6_MULTICAST_IF),
    CONSTANT(IPV6_UNICAST_HOPS),
    CONSTANT(IPV6_RECVPKTINFO),
    CONSTANT(MSG_TRUNC),
    CONSTANT(MSG_CTRUNC),
    CONSTANT(MSG_CMSG_CLOEXEC),
    CONSTANT(MSG_WAITFORONE),
    CONSTANT(INET_ADDRSTRLEN),
    CONSTANT(INET6_ADDRSTRLEN),
    CONSTANT(IF_NAMESIZE),
    CONSTANT(FD_SETSIZE),
    CONSTANT(F_GETFL),
    CONSTANT(F_SETFL),
    CONSTANT(F_GETFD),
    CONSTANT(F_SETFD),

    CONSTANT(AI_PASSIVE),
    CONSTANT(AI_CANONNAME),
    CONSTANT(AI_NUMERICHOST),
    CONSTANT(AI_NUMERICSERV),
    CONSTANT(AI_V4MAPPED),
    CONSTANT(AI_ALL),
    CONSTANT(AI_ADDRCONFIG),
    CONSTANT(NI_NUMERICHOST),
    CONSTANT(NI_NUMERICSERV),
    CONSTANT(NI_NOFQDN),
    CONSTANT(NI_NAMEREQD),
    CONSTANT(NI_DGRAM),
    CONSTANT(EAI_ADDRFAMILY),
    CONSTANT(EAI_AGAIN),
    CONSTANT(EAI_BADFLAGS),
    CONSTANT(EAI_FAIL),
    CONSTANT(EAI_FAMILY),
    CONSTANT(EAI_MEMORY),
    CONSTANT(EAI_NODATA),
    CONSTANT(EAI_NONAME),
    CONSTANT(EAI_OVERFLOW),
    CONSTANT(EAI_SERVICE),
    CONSTANT(EAI_SOCKTYPE),

    {.rust = "// That is all."},
};
