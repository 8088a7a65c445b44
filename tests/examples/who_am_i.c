/* who_am_i - tells each client its own address, over IPv6 and IPv4 alike */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = must(socket(AF_INET6, SOCK_STREAM, 0), "socket"), on = 1, off = 0;
    must(setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "setsockopt");
    must(setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), "setsockopt");
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[1])), .sin6_addr = in6addr_any};
    must(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), "bind");
    must(listen(sock, 5), "listen");
    for (;;) {
        struct sockaddr_in6 peer;
        socklen_t len = sizeof(peer);
        int client = must(accept(sock, (struct sockaddr *)&peer, &len), "accept");
        char text[INET6_ADDRSTRLEN];
        inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text));
        must(send(client, text, strlen(text), 0), "send");
        close(client);
    }
}
