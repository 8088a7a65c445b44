/* passive - binds the first address that getaddrinfo has for it */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(NULL, argv[1], &hints, &list) != 0)
        return 1;
    int sock = -1, on = 1;
    for (struct addrinfo *p = list; p; p = p->ai_next) {
        if ((sock = socket(p->ai_family, p->ai_socktype, p->ai_protocol)) < 0)
            continue;
        must(setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "setsockopt");
        if (bind(sock, p->ai_addr, p->ai_addrlen) == 0)
            break;
        close(sock);
        sock = -1;
    }
    freeaddrinfo(list);
    must(sock, "bind");
    must(listen(sock, 10), "listen");
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int client = must(accept(sock, (struct sockaddr *)&peer, &len), "accept");
        must(send(client, "Welcome!", 8, 0), "send");
        close(client);
    }
}
