/* patience - gives each client five seconds, and asks for three bytes at least */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        struct timeval patience = {.tv_sec = 5};
        must(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), "setsockopt");
        int low = 3;
        must(setsockopt(client, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)), "setsockopt");
        char buf[64];
        ssize_t n = recv(client, buf, sizeof(buf), 0);
        if (n > 0)
            must(send(client, buf, n, 0), "send");
        close(client);
    }
}
