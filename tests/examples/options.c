/* options - asks and sets options of each connection, and tells the client of one */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept"), value, on = 1;
        socklen_t len = sizeof(value);
        must(getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &len), "getsockopt");
        must(getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &len), "getsockopt");
        must(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "setsockopt");
        must(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), "setsockopt");
        must(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &len), "getsockopt");
        struct linger linger = {1, 5};
        must(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), "setsockopt");
        must(send(client, value ? "at once" : "later", value ? 7 : 5, 0), "send");
        close(client);
    }
}
