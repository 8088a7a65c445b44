/*
 * tcp_echo_server_epoll - sends each client its own bytes back, all clients by one process that waits in epoll.
 *
 * Usage: tcp_echo_server_epoll [--limit N] [OPTIONS] PORT
 * Follows: "Server: one request at a time?": several, without a process or a thread for each.
 * Rust twin: tcp_echo_server_epoll.rs. Read it beside tcp_echo_server_poll.c.
 */
#include "common/echo.h"
#include <sys/epoll.h>

#define EVENTS 64 /* that one epoll_wait may report */

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--limit N] PORT"
static unsigned limit = 1000; /* clients at a time; more wait to be accepted */
static const struct extraOption extra[] = {{"limit", NULL, &limit}, {0}};

static int control(int epoll, int operation, int sock, unsigned flags);

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    int servSock = listening(SOCK_STREAM | SOCK_NONBLOCK);

    /* The kernel keeps the list of who waits for what. The first on it is the listening socket, which waits for a client. */
    int epoll;
    if ((epoll = epoll_create1(0)) < 0)
        DieWithError("epoll_create1() failed");
    if (control(epoll, EPOLL_CTL_ADD, servSock, EPOLLIN) < 0)
        DieWithError("epoll_ctl() failed");

    /* 4. Repeatedly: */
    struct client **clients = NULL; /* each at the number of its descriptor */
    unsigned count = 0, places = 0;
    unsigned long accepted = 0;
    int paused = 0, accepting = 1;
    long long lastLook = now();
    while (maxClients == 0 || accepted < maxClients || count > 0) {
        /* While nobody else is to be accepted, the listening socket waits for nothing. */
        int acceptMore = (maxClients == 0 || accepted < maxClients) && count < limit && !paused;
        if (acceptMore != accepting) {
            accepting = acceptMore;
            if (control(epoll, EPOLL_CTL_MOD, servSock, accepting ? EPOLLIN : 0) < 0)
                DieWithError("epoll_ctl() failed");
        }

        /* Wait for all of them together. */
        struct epoll_event events[EVENTS];
        int reported = epoll_wait(epoll, events, EVENTS, patience(paused));
        if (reported < 0 && errno != EINTR)
            DieWithError("epoll_wait() failed");
        long long time = now();
        paused = 0;
        for (int i = 0; i < reported; i++) {
            int sock = events[i].data.u64;
            /* a. Accept a new connection. */
            if (sock == servSock) {
                struct sockaddr_in echoClntAddr;
                socklen_t clntLen = sizeof(echoClntAddr);
                int clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen);
                if (clntSock < 0) {
                    paused = pauseAfter("accept() failed");
                    continue;
                }
                accepted++;
                struct client *client = newClient(clntSock, &echoClntAddr, time);
                if (control(epoll, EPOLL_CTL_ADD, clntSock, EPOLLIN) < 0) {
                    report(&echoClntAddr, "epoll_ctl() failed"); /* this client's loss alone */
                    closeClient(client);
                    continue;
                }
                for (; places <= (unsigned)clntSock; places++) {
                    clients = resize(clients, (places + 1) * sizeof(*clients));
                    clients[places] = NULL;
                }
                clients[clntSock] = client;
                count++;
                continue;
            }

            /* b. Communicate with one that can go on: it may then wait for something else. */
            struct client *client = clients[sock];
            if (client == NULL)
                continue;
            int held = holdsBytes(client);
            int more = goOn(client, time);
            if (more && holdsBytes(client) != held &&
                control(epoll, EPOLL_CTL_MOD, sock, held ? EPOLLIN : EPOLLOUT) < 0)
                DieWithError("epoll_ctl() failed");

            /* c. Close the connection. That takes it off the list. */
            if (!more) {
                closeClient(client);
                clients[sock] = NULL;
                count--;
            }
        }

        /* Not on the slide: an end to silence. A look at all clients, and so not more than once a second. */
        if (time - lastLook >= 1000) {
            lastLook = time;
            for (unsigned place = 0; place < places; place++)
                if (clients[place] != NULL && isIdle(clients[place], time)) {
                    closeClient(clients[place]);
                    clients[place] = NULL;
                    count--;
                }
        }
    }
    if (close(servSock) < 0 || close(epoll) < 0)
        DieWithError("close() failed");
    return 0;
}

/* What is to be reported of a socket, under its own number. */
static int control(int epoll, int operation, int sock, unsigned flags)
{
    struct epoll_event event = {.events = flags, .data.u64 = sock};
    return epoll_ctl(epoll, operation, sock, &event);
}
