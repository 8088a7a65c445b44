/*
 * udp_echo_client - sends a word to an echo server in one datagram and prints the one that comes back.
 *
 * Usage: udp_echo_client [--client-port PORT] [--timeout SECONDS [--tries N]] SERVER WORD [PORT]
 * Follows: the Princeton deck, "Example - Echo using datagram socket", the client's column.
 * Rust twin: udp_echo_client.rs. Its server: udp_echo_server.c.
 */
#include "common/common.h"

#define ECHO_PORT 7 /* the well-known port of the echo service */

#define ARGUMENTS "[--client-port PORT] [--timeout SECONDS [--tries N]] SERVER WORD [PORT]"
static const char *echoServIP;
static const char *echoString;
static in_port_t echoServPort = ECHO_PORT;
static in_port_t echoClientPort = 0; /* a free one */
static unsigned timeout = 0;         /* wait for ever */
static unsigned tries = 0;           /* not given: 1 */

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
    static char echoBuffer[DATAGRAM]; /* none is longer, so none is cut */

    /* 1. Create a UDP socket. */
    int clntSock;
    if ((clntSock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");

    /* 2. Assign a port to the socket. */
    struct sockaddr_in echoClientAddr;
    memset(&echoClientAddr, 0, sizeof(echoClientAddr));
    echoClientAddr.sin_family = AF_INET;
    echoClientAddr.sin_addr.s_addr = htonl(INADDR_ANY);
    echoClientAddr.sin_port = htons(echoClientPort);
    if (bind(clntSock, (struct sockaddr *)&echoClientAddr, sizeof(echoClientAddr)) < 0)
        DieWithError("bind() failed");

    /* 3. Communicate. */
    struct sockaddr_in echoServAddr;
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;
    echoServAddr.sin_addr.s_addr = inet_addr(echoServIP);
    echoServAddr.sin_port = htons(echoServPort);
    size_t echoStringLen = strlen(echoString);

    ssize_t recvMsgSize;
    do {
        if (sendto(clntSock, echoString, echoStringLen, 0, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
            DieWithError("sendto() failed");
        recvMsgSize = answerFrom(&echoServAddr, sizeof(echoServAddr), clntSock, echoBuffer, DATAGRAM, timeout);
    } while (recvMsgSize < 0 && errno == EAGAIN && tries-- > 1); /* lost: send it again */
    if (recvMsgSize < 0)
        DieWithError("recvfrom() failed");
    show("Received: ", echoBuffer, recvMsgSize);

    /* 4. Close the socket. */
    if (close(clntSock) < 0)
        DieWithError("close() failed");
    return 0;
}
