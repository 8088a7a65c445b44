/* example.h - what the examples share: an error that ends the program, and a listening socket. example.rs has the same. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline int must(int ret, const char *call)
{
    if (ret < 0) {
        perror(call);
        exit(1);
    }
    return ret;
}

static inline struct sockaddr_in address(const char *port, in_addr_t host)
{
    struct sockaddr_in addr;
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(host);
    addr.sin_port = htons(atoi(port));
    return addr;
}

static inline int bound(int type, const char *port)
{
    int sock = must(socket(AF_INET, type, 0), "socket");
    int on = 1;
    must(setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "setsockopt");
    struct sockaddr_in addr = address(port, INADDR_ANY);
    must(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), "bind");
    return sock;
}

static inline int listening(const char *port)
{
    int sock = bound(SOCK_STREAM, port);
    must(listen(sock, 10), "listen");
    return sock;
}
