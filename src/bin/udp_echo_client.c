/*
 * udp_echo_client - sends a word in one datagram and prints the one that comes back.
 *
 * Usage: udp_echo_client [--client-port PORT] [--timeout SECONDS [--tries N]] SERVER WORD [PORT]
 * Follows: the Princeton deck, "Example - Echo using datagram socket", the client's column.
 * Rust twin: udp_echo_client.rs. Its server: udp_echo_server.c.
 */
#include <arpa/inet.h>  /* htonl(), htons(), inet_addr() */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset(), strlen() */
#include <sys/socket.h> /* socket(), bind(), sendto() */
#include <unistd.h>     /* close() */

#include "common/common.h"   /* DieWithError(), answerFrom() and its recvfrom(), show() */
#include "common/deadline.h" /* noAnswer() */

#define ECHO_PORT 7 /* the well-known port of the echo service */

static const char *echoServIP, *echoString; /* the arguments */
static in_port_t echoServPort = ECHO_PORT, echoClientPort = 0;
static unsigned timeout = 0, tries = 0; /* not given */

static void talk(void)
{
    static char echoBuffer[DATAGRAM]; /* the longest possible datagram fits */
    int clientSock;
    struct sockaddr_in echoClientAddr, echoServAddr;
    ssize_t recvMsgSize;

    /* 1. Create a UDP socket. */
    if ((clientSock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");

    /* 2. Assign a port to the socket. */
    memset(&echoClientAddr, 0, sizeof(echoClientAddr));
    echoClientAddr.sin_family = AF_INET;                /* Internet address family */
    echoClientAddr.sin_addr.s_addr = htonl(INADDR_ANY); /* Any incoming interface */
    echoClientAddr.sin_port = htons(echoClientPort);    /* Local port */
    if (bind(clientSock, (struct sockaddr *)&echoClientAddr, sizeof(echoClientAddr)) < 0)
        DieWithError("bind() failed");

    /* 3. Communicate. */
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;                    /* Internet address family */
    echoServAddr.sin_addr.s_addr = inet_addr(echoServIP); /* Server IP address */
    echoServAddr.sin_port = htons(echoServPort);          /* Server port */

    /* Send the string to the server, again if no answer comes in time, and receive it back. */
    size_t echoStringLen = strlen(echoString); /* Determine input length */
    unsigned triesLeft = tries;
    do {
        if (within(sendto(clientSock, echoString, echoStringLen, 0,
                          (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)),
                   echoStringLen) < 0)
            DieWithError("sendto() failed");
        recvMsgSize = answerFrom(&echoServAddr, sizeof(echoServAddr), clientSock, echoBuffer,
                                 DATAGRAM, timeout);
    } while (recvMsgSize < 0 && errno == EAGAIN && triesLeft-- > 1);
    if (recvMsgSize < 0 && errno == EAGAIN)
        die(noAnswer((unsigned long long)timeout * (tries > 0 ? tries : 1), 0));
    if (recvMsgSize < 0)
        DieWithError("recvfrom() failed");
    if ((size_t)recvMsgSize == echoStringLen && memcmp(echoBuffer, echoString, echoStringLen) == 0)
        dieIfAlone(clientSock, (struct sockaddr *)&echoServAddr,
                   (struct sockaddr *)&echoServAddr, sizeof(echoServAddr));
    show("Received: ", echoBuffer, recvMsgSize);

    /* 4. Close the socket. */
    if (close(clientSock) < 0)
        DieWithError("close() failed");
}

/* ---- Arguments ---- */

#define ARGUMENTS "[--client-port PORT] [--timeout SECONDS [--tries N]] SERVER WORD [PORT]"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"client-port", required_argument, NULL, 'c'}, {"timeout", required_argument, NULL, 't'},
        {"tries", required_argument, NULL, 'n'},       {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},           {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'c': echoClientPort = number(optarg, 0, 65535); break;
        case 't': timeout = number(optarg, 1, UINT_MAX); break;
        case 'n': tries = number(optarg, 1, UINT_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind < 2 || argc - optind > 3 || (tries > 0 && timeout == 0))
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
