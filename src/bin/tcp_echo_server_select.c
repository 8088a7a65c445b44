/*
 * tcp_echo_server_select - sends each client its own bytes back, all clients by one process that waits in select.
 *
 * Usage: tcp_echo_server_select [--limit N] [OPTIONS] PORT
 * Follows: "Server: one request at a time?": several, without a process or a thread for each.
 * Rust twin: tcp_echo_server_select.rs. Read it beside tcp_echo_server.c.
 */
#include "common/echo.h"
#include <sys/select.h>

#define TOO_HIGH "select() failed: the descriptor is not below FD_SETSIZE, 1024"

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--limit N] PORT"
static unsigned limit = 1000; /* clients at a time; more wait to be accepted */
static const struct extraOption extra[] = {{"limit", NULL, &limit}, {0}};

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    int servSock = listening(SOCK_STREAM | SOCK_NONBLOCK);
    if (servSock >= FD_SETSIZE)
        die(TOO_HIGH); /* C would write beside the set */

    /* 4. Repeatedly: */
    static struct client *clients[FD_SETSIZE];
    unsigned count = 0;
    unsigned long accepted = 0;
    int paused = 0;
    while (maxClients == 0 || accepted < maxClients || count > 0) {
        /* Who waits for what: the listening socket for a client, a client for bytes to come or, if it holds some, to go. */
        fd_set readable, writable;
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        if ((maxClients == 0 || accepted < maxClients) && count < limit && !paused)
            FD_SET(servSock, &readable);
        int highest = servSock;
        for (unsigned i = 0; i < count; i++) {
            FD_SET(clients[i]->sock, holdsBytes(clients[i]) ? &writable : &readable);
            if (clients[i]->sock > highest)
                highest = clients[i]->sock;
        }

        /* Wait for all of them together. Those that select leaves in the sets can go on. */
        int ms = patience(paused);
        struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        if (select(highest + 1, &readable, &writable, NULL, ms < 0 ? NULL : &timeout) < 0) {
            if (errno == EINTR)
                continue;
            DieWithError("select() failed");
        }
        int somebodyCame = FD_ISSET(servSock, &readable);
        for (unsigned i = 0; i < count; i++)
            clients[i]->ready = FD_ISSET(clients[i]->sock, &readable) || FD_ISSET(clients[i]->sock, &writable);
        long long time = now();
        paused = 0;

        /* a. Accept a new connection. */
        if (somebodyCame) {
            struct sockaddr_in echoClntAddr;
            socklen_t clntLen = sizeof(echoClntAddr);
            int clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen);
            if (clntSock < 0) {
                paused = pauseAfter("accept() failed");
            } else {
                accepted++;
                struct client *client = newClient(clntSock, &echoClntAddr, time);
                if (clntSock < FD_SETSIZE) {
                    clients[count++] = client;
                } else {
                    note("%s:%d: %s", inet_ntoa(echoClntAddr.sin_addr), ntohs(echoClntAddr.sin_port), TOO_HIGH);
                    closeClient(client); /* this client's loss alone */
                }
            }
        }

        /* b. Communicate with those that can go on. c. Close the connections of those that are done. */
        count = serveReady(clients, count, time);
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    return 0;
}
