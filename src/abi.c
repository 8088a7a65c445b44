/*
 * abi.c - what this machine's headers say, printed as Rust constants.
 *
 * build.rs compiles and runs it; abi.rs compares each line with what the library says. A type's line is its size, its
 * alignment and whether it is signed; a field's is its offset, its size and whether it is signed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#define SIGNED(type) ((type)-1 < (type)1 ? "true" : "false")

#define SCALAR(type)                                                                                \
    printf("pub const %s: (usize, usize, bool) = (%zu, %zu, %s);\n", #type, sizeof(type),           \
           _Alignof(type), SIGNED(type))
#define STRUCT(type)                                                                                \
    printf("pub mod %s {\npub const LAYOUT: (usize, usize) = (%zu, %zu);\n", #type,                 \
           sizeof(struct type), _Alignof(struct type))
#define FIELD_OF(type, field, number)                                                               \
    printf("pub const %s: (usize, usize, bool) = (%zu, %zu, %s);\n", #field,                        \
           offsetof(struct type, field), sizeof(((struct type *)0)->field),                         \
           SIGNED(__typeof__(((struct type *)0)->number)))
#define FIELD(type, field) FIELD_OF(type, field, field)
#define END printf("}\n")
#define CONSTANT(name) printf("pub const %s: i64 = %lld;\n", #name, (long long)(name))

int main(void)
{
    SCALAR(socklen_t);
    SCALAR(ssize_t);
    SCALAR(sa_family_t);
    SCALAR(in_port_t);
    SCALAR(in_addr_t);

    STRUCT(in_addr);
    FIELD(in_addr, s_addr);
    END;
    STRUCT(sockaddr_in);
    FIELD(sockaddr_in, sin_family);
    FIELD(sockaddr_in, sin_port);
    FIELD_OF(sockaddr_in, sin_addr, sin_addr.s_addr);
    FIELD_OF(sockaddr_in, sin_zero, sin_zero[0]);
    END;
    STRUCT(timeval);
    FIELD(timeval, tv_sec);
    FIELD(timeval, tv_usec);
    END;
    STRUCT(linger);
    FIELD(linger, l_onoff);
    FIELD(linger, l_linger);
    END;

    CONSTANT(AF_UNSPEC);
    CONSTANT(AF_UNIX);
    CONSTANT(AF_INET);
    CONSTANT(AF_INET6);
    CONSTANT(PF_UNIX);
    CONSTANT(PF_INET);
    CONSTANT(PF_INET6);
    CONSTANT(SOCK_STREAM);
    CONSTANT(SOCK_DGRAM);
    CONSTANT(SOCK_RAW);
    CONSTANT(SOCK_SEQPACKET);
    CONSTANT(SOCK_CLOEXEC);
    CONSTANT(SOCK_NONBLOCK);

    CONSTANT(IPPROTO_IP);
    CONSTANT(IPPROTO_ICMP);
    CONSTANT(IPPROTO_TCP);
    CONSTANT(IPPROTO_UDP);
    CONSTANT(INADDR_ANY);
    CONSTANT(INADDR_LOOPBACK);
    CONSTANT(INADDR_BROADCAST);
    CONSTANT(INADDR_NONE);

    CONSTANT(SHUT_RD);
    CONSTANT(SHUT_WR);
    CONSTANT(SHUT_RDWR);

    CONSTANT(MSG_DONTWAIT);
    CONSTANT(MSG_OOB);
    CONSTANT(MSG_PEEK);
    CONSTANT(MSG_WAITALL);
    CONSTANT(MSG_TRUNC);
    CONSTANT(MSG_ERRQUEUE);
    CONSTANT(MSG_NOSIGNAL);
    CONSTANT(SOMAXCONN);

    CONSTANT(SOL_SOCKET);
    CONSTANT(SO_REUSEADDR);
    CONSTANT(SO_REUSEPORT);
    CONSTANT(SO_KEEPALIVE);
    CONSTANT(SO_BROADCAST);
    CONSTANT(SO_SNDBUF);
    CONSTANT(SO_RCVBUF);
    CONSTANT(SO_RCVBUFFORCE);
    CONSTANT(SO_PRIORITY);
    CONSTANT(SO_MARK);
    CONSTANT(SO_ERROR);
    CONSTANT(SO_TYPE);
    CONSTANT(SO_ACCEPTCONN);
    CONSTANT(SO_RCVTIMEO);
    CONSTANT(SO_SNDTIMEO);
    CONSTANT(SO_LINGER);
    CONSTANT(TCP_NODELAY);
    CONSTANT(TCP_MAXSEG);
    CONSTANT(TCP_KEEPIDLE);
    CONSTANT(TCP_KEEPINTVL);
    CONSTANT(TCP_KEEPCNT);
    CONSTANT(TCP_SYNCNT);
    CONSTANT(TCP_USER_TIMEOUT);
    CONSTANT(IP_TTL);
    return 0;
}
