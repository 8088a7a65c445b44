/*
 * tcp_echo_server - sends each client its own bytes back, one client at a time.
 *
 * Usage: tcp_echo_server [--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] PORT
 * Follows: the Princeton deck, "Example - Echo using stream socket", the server's column.
 * Rust twin: tcp_echo_server.rs. Its client: tcp_echo_client.c.
 */
#include "common/common.h"

#define MAXPENDING 5    /* connections the kernel may queue before accept takes them */
#define RCVBUFSIZE 4096 /* bytes asked of each recv */

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] PORT"
static in_port_t echoServPort;
static const char *bindAddress = NULL; /* any */
static int backlog = MAXPENDING;
static unsigned long maxClients = 0; /* no end */
static unsigned idleTimeout = 0;     /* never */

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},        {"backlog", required_argument, NULL, 'l'},
        {"max-clients", required_argument, NULL, 'm'}, {"idle-timeout", required_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},              {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'b': bindAddress = dotted(optarg); break;
        case 'l': backlog = number(optarg, 0, INT_MAX); break;
        case 'm': maxClients = number(optarg, 1, ULONG_MAX); break;
        case 'i': idleTimeout = number(optarg, 1, UINT_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind != 1)
        usage('?', argv[0], ARGUMENTS);
    echoServPort = number(argv[optind], 0, 65535);
}

static const char *echo(int clntSock);

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);

    /* 1. Create a TCP socket. */
    int servSock;
    if ((servSock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)) < 0)
        DieWithError("socket() failed");

    /* Not on the slide: a restarted server need not wait until its old connections have faded away. */
    int on = 1;
    if (setsockopt(servSock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");

    /* 2. Assign a port to the socket. */
    struct sockaddr_in echoServAddr;
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;
    echoServAddr.sin_addr.s_addr = bindAddress ? inet_addr(bindAddress) : htonl(INADDR_ANY);
    echoServAddr.sin_port = htons(echoServPort);
    if (bind(servSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("bind() failed");

    /* 3. Set the socket to listen. */
    if (listen(servSock, backlog) < 0)
        DieWithError("listen() failed");

    /* Not on the slide: say so, with the port that port 0 became. */
    socklen_t echoServLen = sizeof(echoServAddr);
    if (getsockname(servSock, (struct sockaddr *)&echoServAddr, &echoServLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d\n", inet_ntoa(echoServAddr.sin_addr), ntohs(echoServAddr.sin_port));

    /* 4. Repeatedly: */
    for (unsigned long clients = 0; maxClients == 0 || clients < maxClients; clients++) {
        /* a. Accept a new connection. */
        struct sockaddr_in echoClntAddr;
        socklen_t clntLen = sizeof(echoClntAddr);
        int clntSock;
        while ((clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen)) < 0)
            goOnAfter("accept() failed");

        /* Not on the slide: an end to silence. */
        report(&echoClntAddr, giveUpAfter(clntSock, idleTimeout));

        /* b. Communicate. What goes wrong with one client is that client's loss alone. */
        report(&echoClntAddr, echo(clntSock));

        /* c. Close the connection. */
        report(&echoClntAddr, close(clntSock) < 0 ? "close() failed" : NULL);
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    return 0;
}

/* Sends back what comes, until the client has sent all. Returns NULL, or what failed. */
static const char *echo(int clntSock)
{
    static char echoBuffer[RCVBUFSIZE];
    ssize_t recvMsgSize;
    const char *failed;

    while ((recvMsgSize = recv(clntSock, echoBuffer, RCVBUFSIZE, 0)) != 0) { /* zero indicates end of transmission */
        if (recvMsgSize < 0 && errno == EINTR)
            continue; /* stopped and continued, with a time-out set */
        if (recvMsgSize < 0)
            return "recv() failed";
        if ((failed = sendAll(clntSock, echoBuffer, recvMsgSize)) != NULL)
            return failed;
    }
    return NULL;
}
