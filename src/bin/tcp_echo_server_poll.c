/*
 * tcp_echo_server_poll - sends each client its own bytes back, all from one loop around poll.
 *
 * Usage: tcp_echo_server_poll [--limit N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
 * different requests", here without a process or a thread for each.
 * Rust twin: tcp_echo_server_poll.rs. Compare tcp_echo_server_select.c.
 */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <poll.h>       /* poll() */
#include <sys/socket.h> /* accept() */
#include <unistd.h>     /* close() */

#include "common/echo.h" /* listening(), struct client and what serves it */

static unsigned limit = 1000; /* the argument: clients at once */

static int makeRoom(struct pollfd **fds, struct client **clients, unsigned *room);

static void serve(void)
{
    int clntSock;
    struct sockaddr_in echoClntAddr;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM | SOCK_NONBLOCK);

    /*
     * The event that each waits for. The first is the listening socket, which waits for a client; a
     * client waits until it can receive or, if it holds bytes, send.
     */
    struct pollfd *fds = resize(NULL, sizeof(*fds));
    fds[0] = (struct pollfd){.fd = servSock, .events = POLLIN};
    struct client *clients = NULL; /* of the others in `fds`, in the same order */

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    unsigned count = 0, room = 0;
    unsigned long long accepted = 0;
    int paused = 0;
    while (accepted < maxClients || count > 0) {
        int accepting = accepted < maxClients && count < limit && !paused;
        fds[0].events = accepting ? POLLIN : 0;

        /* Wait for all of them together. */
        if (poll(fds, count + 1, longestWait(paused)) < 0) {
            if (errno == EINTR)
                continue; /* after SIGSTOP and SIGCONT */
            DieWithError("poll() failed");
        }
        long long time = now();
        paused = 0;

        /* a. Accept a new connection. */
        if (fds[0].revents != 0) {
            clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
            clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen);
            clntSock = acceptedFrom(clntSock, &echoClntAddr, &clntLen);
            if (clntSock < 0) {
                paused = needsPause("accept() failed");
            } else {
                accepted++;
                if (count < room || makeRoom(&fds, &clients, &room) == 0) {
                    fds[count + 1] = (struct pollfd){.fd = clntSock, .events = POLLIN};
                    clients[count++] = newClient(&echoClntAddr, time);
                } else {
                    WarnWithError(&echoClntAddr, "realloc() failed"); /* only this client is lost */
                    close(clntSock);
                }
            }
        }

        /* b. Communicate with those that can, c. close the connection of those that are done. */
        int gone = 0;
        for (unsigned place = 0; place < count; place++) {
            struct pollfd *fd = &fds[place + 1];
            struct client *client = &clients[place];
            int done = fd->revents != 0 && !echoSome(fd->fd, client, time);
            if (done || isIdle(client, time)) {
                closeClient(fd->fd, client);
                fd->fd = -1;
                gone = 1;
            } else {
                fd->events = holdsBytes(client) ? POLLOUT : POLLIN;
            }
        }

        /* The last ones move into the places of the closed ones. */
        unsigned place = 0;
        while (gone && place < count) {
            if (fds[place + 1].fd < 0) {
                clients[place] = clients[--count];
                fds[place + 1] = fds[count + 1];
            } else {
                place++;
            }
        }
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
}

/* Room for more clients. Returns 0, or -1 if there is no memory. */
static int makeRoom(struct pollfd **fds, struct client **clients, unsigned *room)
{
    unsigned more = *room < 8 ? 16 : 2 * *room;
    void *larger = realloc(*fds, (more + 1) * sizeof(**fds));
    if (larger == NULL)
        return -1;
    *fds = larger;
    if ((larger = realloc(*clients, more * sizeof(**clients))) == NULL)
        return -1;
    *clients = larger;
    *room = more;
    return 0;
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
