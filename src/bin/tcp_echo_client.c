/*
 * tcp_echo_client - sends a word to an echo server and prints what comes back.
 *
 * Usage: tcp_echo_client SERVER WORD [PORT]
 * Follows: the Princeton deck, "Example - Echo using stream socket", the client's column.
 * Rust twin: tcp_echo_client.rs. Its server: tcp_echo_server.c.
 */
#include <arpa/inet.h>  /* htons(), inet_addr() */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset(), strlen() */
#include <sys/socket.h> /* socket(), connect(), recv() */
#include <unistd.h>     /* close() */

#include "common/common.h"   /* DieWithError(), show() */
#include "common/deadline.h" /* sendUntilAnswered() */

#define ECHO_PORT 7 /* the well-known port of the echo service */

static const char *echoServIP, *echoString; /* the arguments */
static in_port_t echoServPort = ECHO_PORT;

static void talk(void)
{
    int clientSock;
    struct sockaddr_in echoServAddr, ownAddr;
    socklen_t ownLen = sizeof(ownAddr);

    /* 1. Create a TCP socket. */
    if ((clientSock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)) < 0)
        DieWithError("socket() failed");

    /* 2. Establish the connection. */
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;                    /* Internet address family */
    echoServAddr.sin_addr.s_addr = inet_addr(echoServIP); /* Server IP address */
    echoServAddr.sin_port = htons(echoServPort);          /* Server port */
    if (connect(clientSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("connect() failed");

    /* Not on the slide: if no server listens, the kernel may give the client that port. */
    if (getsockname(clientSock, (struct sockaddr *)&ownAddr, &ownLen) < 0)
        DieWithError("getsockname() failed");
    if (areSame(&ownAddr, &echoServAddr))
        dieAlone((struct sockaddr *)&echoServAddr);

    /* 3. Communicate. */
    size_t echoStringLen = strlen(echoString); /* Determine input length */
    char *echoBuffer = allocate(echoStringLen);
    size_t sent = 0, received = 0;

    /*
     * One recv is not one message: the bytes come back in pieces of any size. Those of a long word
     * arrive while it is still being sent.
     */
    while (received < echoStringLen) {
        if (sendUntilAnswered(clientSock, echoString, echoStringLen, &sent) < 0)
            die(reason(0));
        ssize_t n = within(recv(clientSock, echoBuffer + received, echoStringLen - received, 0),
                           echoStringLen - received);
        if (n < 0 && errno == EINTR)
            continue; /* a signal came */
        if (n < 0)
            DieWithError("recv() failed");
        if (n == 0)
            die("recv() failed: connection closed prematurely");
        received += n;
    }
    show("Received: ", echoBuffer, echoStringLen);

    /* 4. Close the connection. */
    if (close(clientSock) < 0)
        DieWithError("close() failed");
}

/* ---- Arguments ---- */

#define ARGUMENTS "SERVER WORD [PORT]"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        usage(c, argv[0], ARGUMENTS);
    if (argc - optind < 2 || argc - optind > 3)
        usage('?', argv[0], ARGUMENTS);
    echoServIP = dotted(argv[optind]);
    echoString = argv[optind + 1];
    if (argc - optind == 3)
        echoServPort = number(argv[optind + 2], 0, 65535);
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    talk();
    return 0;
}
