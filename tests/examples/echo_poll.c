/* echo_poll - many clients by poll, in an array that lives as long as the server */
#include "example.h"

#define OPEN 8

int main(int argc, char *argv[])
{
    (void)argc;
    struct pollfd fds[OPEN];
    for (int i = 0; i < OPEN; i++)
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    fds[0].fd = listening(argv[1]);
    for (;;) {
        must(poll(fds, OPEN, -1), "poll");
        if (fds[0].revents & POLLIN) {
            int client = must(accept(fds[0].fd, NULL, NULL), "accept");
            int i = 1;
            while (i < OPEN && fds[i].fd >= 0)
                i++;
            if (i < OPEN)
                fds[i].fd = client;
            else
                close(client);
        }
        for (int i = 1; i < OPEN; i++) {
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            char buf[512];
            ssize_t n = recv(fds[i].fd, buf, sizeof(buf), 0);
            if (n > 0) {
                must(send(fds[i].fd, buf, n, 0), "send");
            } else {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
}
