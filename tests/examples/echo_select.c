/* echo_select - many clients by select, with a set that is copied for each round */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]), highest = listener;
    fd_set master, readfds;
    FD_ZERO(&master);
    FD_SET(listener, &master);
    for (;;) {
        readfds = master;
        must(select(highest + 1, &readfds, NULL, NULL, NULL), "select");
        for (int fd = 0; fd <= highest; fd++) {
            if (!FD_ISSET(fd, &readfds))
                continue;
            if (fd == listener) {
                int client = must(accept(listener, NULL, NULL), "accept");
                FD_SET(client, &master);
                if (client > highest)
                    highest = client;
                continue;
            }
            char buf[512];
            ssize_t n = recv(fd, buf, sizeof(buf), 0);
            if (n > 0) {
                must(send(fd, buf, n, 0), "send");
            } else {
                FD_CLR(fd, &master);
                close(fd);
            }
        }
    }
}
