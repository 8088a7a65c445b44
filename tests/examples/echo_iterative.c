/* echo_iterative - one client after another, by read and write */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int client = must(accept(listener, (struct sockaddr *)&peer, &len), "accept");
        char buf[512];
        ssize_t n;
        while ((n = must(read(client, buf, sizeof(buf)), "read")) > 0)
            must(write(client, buf, n), "write");
        close(client);
    }
}
