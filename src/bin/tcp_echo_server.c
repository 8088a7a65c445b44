/*
 * tcp_echo_server - sends each client its own bytes back, one client at a time.
 *
 * Usage: tcp_echo_server [OPTIONS] PORT
 * Follows: the Princeton deck, "Example - Echo using stream socket", the server's column.
 * Rust twin: tcp_echo_server.rs. Its client: tcp_echo_client.c.
 */
#include <arpa/inet.h>  /* htonl(), htons(), inet_addr() */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset() */
#include <sys/socket.h> /* socket(), bind(), listen(), accept(), recv() */
#include <unistd.h>     /* close() */

#include "common/common.h" /* DieWithError(), WarnWithError(), recoverFrom(), sendAll() */
#include "common/echo.h"   /* echoServPort and the other arguments, MAXPENDING, RCVBUFSIZE */

static void echo(int clntSock, const struct sockaddr_in *echoClntAddr);

static void serve(void)
{
    int servSock, clntSock, on = 1;
    struct sockaddr_in echoServAddr, echoClntAddr;
    socklen_t servLen = sizeof(echoServAddr), clntLen;

    /* 1. Create a TCP socket. */
    if ((servSock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)) < 0)
        DieWithError("socket() failed");

    /* Not on the slide: a restarted server may bind while old connections are in TIME_WAIT. */
    if (setsockopt(servSock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");

    /* 2. Assign a port to the socket. */
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;                /* Internet address family */
    echoServAddr.sin_addr.s_addr = htonl(INADDR_ANY); /* Any incoming interface */
    if (bindAddress != NULL)
        echoServAddr.sin_addr.s_addr = inet_addr(bindAddress); /* --bind: this one only */
    echoServAddr.sin_port = htons(echoServPort); /* Local port */
    if (bind(servSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("bind() failed");

    /* 3. Set the socket to listen. */
    if (listen(servSock, backlog) < 0) /* MAXPENDING, unless --backlog is given */
        DieWithError("listen() failed");

    /* Not on the slide: print the address, with the port chosen for port 0. */
    if (getsockname(servSock, (struct sockaddr *)&echoServAddr, &servLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d", inet_ntoa(echoServAddr.sin_addr), ntohs(echoServAddr.sin_port));

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    for (unsigned long long clients = 0; clients < maxClients; clients++) {
        /* a. Accept a new connection. */
        clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
        while ((clntSock = acceptedFrom(
                    accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen),
                    &echoClntAddr, &clntLen)) < 0)
            recoverFrom("accept() failed");

        /* b. Communicate. An error ends this client only, not the server. */
        echo(clntSock, &echoClntAddr);

        /* c. Close the connection. */
        if (close(clntSock) < 0)
            WarnWithError(&echoClntAddr, "close() failed");
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
}

/* Sends back what comes, until the client has sent all. */
static void echo(int clntSock, const struct sockaddr_in *echoClntAddr)
{
    static char echoBuffer[RCVBUFSIZE];
    ssize_t recvMsgSize;

    if (setTimeouts(clntSock, idleTimeout) < 0) { /* not on the slide: --idle-timeout */
        WarnWithError(echoClntAddr, "setsockopt() failed");
        return;
    }
    /* zero indicates end of transmission */
    while ((recvMsgSize = within(recv(clntSock, echoBuffer, RCVBUFSIZE, 0), RCVBUFSIZE)) != 0) {
        if (recvMsgSize < 0 && errno == EINTR)
            continue; /* after SIGSTOP and SIGCONT */
        if (recvMsgSize < 0) {
            WarnWithError(echoClntAddr, "recv() failed");
            return;
        }
        if (sendAll(clntSock, echoBuffer, recvMsgSize) < 0) {
            WarnWithError(echoClntAddr, "send() failed");
            return;
        }
    }
}

/* ---- Arguments ---- */

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] PORT"

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv, NULL, ARGUMENTS);
    serve();
    return 0;
}
