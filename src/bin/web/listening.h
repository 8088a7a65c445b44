/*
 * web/listening.h - a socket that listens for IPv4 and IPv6. The Rust program has the same in
 * web/listening.rs.
 */
#ifndef WEB_LISTENING_H
#define WEB_LISTENING_H

#include <netinet/tcp.h>

#include "connection.h"

/*
 * The echo server's steps 1 to 3, and the line "listening on". `address` is text, or NULL for any.
 * A send on a connection waits at most `seconds`.
 */
static inline int openListening(const char *address, in_port_t port, int backlog, unsigned seconds)
{
    struct timeval timeout = {.tv_sec = seconds};
    struct sockaddr_storage addr;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr;
    int servSock, on = 1, off = 0;
    memset(&addr, 0, sizeof(addr)); /* any: in6addr_any, and INADDR_ANY */
    addr.ss_family = AF_INET6;      /* a socket for this address accepts IPv4 too */
    if (address != NULL && inet_pton(AF_INET6, address, &v6->sin6_addr) != 1) {
        addr.ss_family = AF_INET;
        inet_pton(AF_INET, address, &v4->sin_addr);
    }
    servSock = socket(addr.ss_family, SOCK_STREAM, IPPROTO_TCP);
    if (servSock < 0 && errno == EAFNOSUPPORT && address == NULL) /* no IPv6 on this machine */
        servSock = socket(addr.ss_family = AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (servSock < 0)
        DieWithError("socket() failed");
    if (setsockopt(servSock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");
    socklen_t addrLen = sizeof(*v4);
    v4->sin_port = htons(port);
    if (addr.ss_family == AF_INET6) {
        addrLen = sizeof(*v6);
        v6->sin6_port = htons(port);
        if (setsockopt(servSock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
            DieWithError("setsockopt() failed");
    }
    /* Connections inherit these options. TCP_NODELAY: short responses are sent at once. */
    if (setsockopt(servSock, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
        setsockopt(servSock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");
    if (bind(servSock, (struct sockaddr *)&addr, addrLen) < 0)
        DieWithError("bind() failed");
    if (listen(servSock, backlog) < 0)
        DieWithError("listen() failed");
    addrLen = sizeof(addr);
    if (getsockname(servSock, (struct sockaddr *)&addr, &addrLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s", addressText((struct sockaddr *)&addr));
    return servSock;
}

/*
 * Writes a client's address as text. The ::ffff: that an IPv6 socket puts before an IPv4 address is
 * left out.
 */
static inline void nameClient(struct connection *conn)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&conn->addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&conn->addr;
    if (conn->addr.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
        memcpy(&own.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof(own.sin_addr));
        *v4 = own;
    }
    if (conn->addr.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, conn->host, sizeof(conn->host));
        sprintf(conn->client, "%s:%d", conn->host, ntohs(v4->sin_port));
    } else {
        char scope[16] = "";
        inet_ntop(AF_INET6, &v6->sin6_addr, conn->host, sizeof(conn->host));
        if (v6->sin6_scope_id != 0)
            sprintf(scope, "%%%u", (unsigned)v6->sin6_scope_id);
        sprintf(conn->client, "[%s%s]:%d", conn->host, scope, ntohs(v6->sin6_port));
    }
}

#endif
