/* accept4_poll - connections that do not wait, each waited for by poll with a time-out */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        int client = must(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), "accept4");
        struct pollfd fd = {.fd = client, .events = POLLIN};
        char buf[512];
        ssize_t n;
        do {
            must(poll(&fd, 1, 10000), "poll");
            n = must(recv(client, buf, sizeof(buf), 0), "recv");
            if (n > 0)
                must(send(client, buf, n, MSG_NOSIGNAL), "send");
        } while (n > 0);
        close(client);
    }
}
