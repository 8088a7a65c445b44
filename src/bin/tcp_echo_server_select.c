/*
 * tcp_echo_server_select - sends each client its own bytes back, all from one loop around select.
 *
 * Usage: tcp_echo_server_select [--limit N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
 * different requests", here without a process or a thread for each.
 * Rust twin: tcp_echo_server_select.rs. Compare tcp_echo_server.c.
 */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <sys/select.h> /* select(), FD_SET() */
#include <sys/socket.h> /* accept() */
#include <unistd.h>     /* close() */

#include "common/echo.h" /* listening(), struct client and what serves it */

#define TOO_HIGH "select() failed: the descriptor is not below FD_SETSIZE, 1024"

static unsigned limit = 1000; /* the argument: clients at once */

static void serve(void)
{
    int clntSock;
    struct sockaddr_in echoClntAddr;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM | SOCK_NONBLOCK);
    if (servSock >= FD_SETSIZE)
        die(TOO_HIGH); /* FD_SET would write outside the set */

    /*
     * The event that each waits for: the listening socket for a client; a client until it can
     * receive or, if it holds bytes, send.
     */
    fd_set toRead, toWrite;
    FD_ZERO(&toRead);
    FD_ZERO(&toWrite);
    int highest = servSock;
    static int socks[FD_SETSIZE];
    static struct client clients[FD_SETSIZE];

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    unsigned count = 0;
    unsigned long long accepted = 0;
    int paused = 0;
    while (accepted < maxClients || count > 0) {
        if (accepted < maxClients && count < limit && !paused)
            FD_SET(servSock, &toRead);
        else
            FD_CLR(servSock, &toRead);

        /* Wait for all of them together. select leaves the ready ones in the sets. */
        fd_set readable = toRead, writable = toWrite;
        int ms = longestWait(paused);
        struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        if (select(highest + 1, &readable, &writable, NULL, ms < 0 ? NULL : &timeout) < 0) {
            if (errno == EINTR)
                continue; /* after SIGSTOP and SIGCONT */
            DieWithError("select() failed");
        }
        long long time = now();
        paused = 0;

        /* a. Accept a new connection. */
        if (FD_ISSET(servSock, &readable)) {
            clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
            clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen);
            clntSock = acceptedFrom(clntSock, &echoClntAddr, &clntLen);
            if (clntSock < 0) {
                paused = needsPause("accept() failed");
            } else {
                accepted++;
                struct client client = newClient(&echoClntAddr, time);
                if (clntSock < FD_SETSIZE) {
                    FD_SET(clntSock, &toRead);
                    if (clntSock > highest)
                        highest = clntSock;
                    socks[count] = clntSock;
                    clients[count++] = client;
                } else {
                    note("%s:%d: %s", inet_ntoa(echoClntAddr.sin_addr),
                         ntohs(echoClntAddr.sin_port), TOO_HIGH); /* only this client is lost */
                    closeClient(clntSock, &client);
                }
            }
        }

        /* b. Communicate with those that can, c. close the connection of those that are done. */
        int gone = 0;
        for (unsigned place = 0; place < count; place++) {
            int sock = socks[place];
            struct client *client = &clients[place];
            int ready = FD_ISSET(sock, &readable) || FD_ISSET(sock, &writable);
            int done = ready && !echoSome(sock, client, time);
            if (done || isIdle(client, time)) {
                FD_CLR(sock, &toRead);
                FD_CLR(sock, &toWrite);
                closeClient(sock, client);
                socks[place] = -1;
                gone = 1;
            } else if (ready && holdsBytes(client)) {
                FD_CLR(sock, &toRead);
                FD_SET(sock, &toWrite);
            } else if (ready) {
                FD_CLR(sock, &toWrite);
                FD_SET(sock, &toRead);
            }
        }

        /* The last ones move into the places of the closed ones. */
        unsigned place = 0;
        while (gone && place < count) {
            if (socks[place] < 0) {
                clients[place] = clients[--count];
                socks[place] = socks[count];
            } else {
                place++;
            }
        }
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
