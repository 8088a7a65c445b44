/* sequence - deals out numbers in network order, and waits for the client's end */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    unsigned next = 0;
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        char buf[64];
        ssize_t n = must(recv(client, buf, sizeof(buf), 0), "recv");
        if (n > 0) {
            unsigned wanted = htonl(next++);
            must(send(client, &wanted, sizeof(wanted), 0), "send");
            must(shutdown(client, SHUT_WR), "shutdown");
            while (must(recv(client, buf, sizeof(buf), 0), "recv") > 0)
                ;
        }
        close(client);
    }
}
