/* urgent - goes on until it stands before urgent data, which stay in the stream */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]), on = 1;
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        must(setsockopt(client, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), "setsockopt");
        char buf[64];
        ssize_t n;
        while (!must(sockatmark(client), "sockatmark") && (n = must(recv(client, buf, sizeof(buf), 0), "recv")) > 0)
            must(send(client, buf, n, 0), "send");
        close(client);
    }
}
