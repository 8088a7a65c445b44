/*
 * tcp_echo_server_poll - sends each client its own bytes back, all from one loop around poll.
 *
 * Usage: tcp_echo_server_poll [--limit N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
 * different requests", here without a process or a thread for each.
 * Rust twin: tcp_echo_server_poll.rs. Read it beside tcp_echo_server_select.c.
 */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <poll.h>       /* poll() */
#include <sys/socket.h> /* accept() */
#include <unistd.h>     /* close() */

#include "common/echo.h" /* listening(), struct client and what serves it */

static unsigned limit = 1000; /* the argument: clients at once */

static void serve(void)
{
    int clntSock;
    struct sockaddr_in echoClntAddr;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() stand in common/echo.h. */
    int servSock = listening(SOCK_STREAM | SOCK_NONBLOCK);

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    struct client **clients = NULL;
    struct pollfd *fds = NULL;
    unsigned count = 0, room = 0;
    unsigned long long accepted = 0;
    int paused = 0;
    while (accepted < maxClients || count > 0) {
        /*
         * What each waits for: the listening socket for a client, a client for bytes to come or, if
         * it holds some, to go.
         */
        if (count >= room) {
            room = count < 8 ? 16 : 2 * count;
            clients = resize(clients, room * sizeof(*clients));
            fds = resize(fds, (room + 1) * sizeof(*fds));
        }
        int accepting = accepted < maxClients && count < limit && !paused;
        fds[0] = (struct pollfd){.fd = servSock, .events = accepting ? POLLIN : 0};
        for (unsigned i = 0; i < count; i++) {
            short events = holdsBytes(clients[i]) ? POLLOUT : POLLIN;
            fds[i + 1] = (struct pollfd){.fd = clients[i]->sock, .events = events};
        }

        /* Wait for all of them together. */
        if (poll(fds, count + 1, longestWait(paused)) < 0 && errno != EINTR)
            DieWithError("poll() failed");
        int clientCame = fds[0].revents != 0;
        for (unsigned i = 0; i < count; i++)
            clients[i]->ready = fds[i + 1].revents != 0;
        long long time = now();
        paused = 0;

        /* a. Accept a new connection. */
        if (clientCame) {
            clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
            clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen);
            if (clntSock < 0) {
                paused = needsPause("accept() failed");
            } else {
                accepted++;
                clients[count++] = newClient(clntSock, &echoClntAddr, time);
            }
        }

        /* b. Communicate with those that can, c. close the connection of those that are done. */
        count = serveReady(clients, count, time);
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
}

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--limit N] PORT"

int main(int argc, char *argv[])
{
    static const struct extraOption extra[] = {{"limit", NULL, &limit}, {0}};
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);
    serve();
    return 0;
}
