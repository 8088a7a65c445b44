/* echo_epoll - many clients by epoll, edge-triggered, with sockets that do not wait */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    int epfd = must(epoll_create1(0), "epoll_create1");
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = listener}, events[10];
    must(epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev), "epoll_ctl");
    for (;;) {
        int ready = must(epoll_wait(epfd, events, 10, -1), "epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = must(accept(listener, NULL, NULL), "accept");
                int flags = must(fcntl(client, F_GETFL, 0), "fcntl");
                must(fcntl(client, F_SETFL, flags | O_NONBLOCK), "fcntl");
                ev.events = EPOLLIN | EPOLLET;
                ev.data.u64 = client;
                must(epoll_ctl(epfd, EPOLL_CTL_ADD, client, &ev), "epoll_ctl");
                continue;
            }
            char buf[512];
            ssize_t n;
            while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                must(send(fd, buf, n, 0), "send");
            if (n == 0)
                close(fd);
        }
    }
}
