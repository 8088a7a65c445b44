/*
 * udp_echo_server - sends each datagram back to where it came from.
 *
 * Usage: udp_echo_server [--bind ADDRESS] [--max-messages N] PORT
 * Follows: the Princeton deck, "Example - Echo using datagram socket", the server's column.
 * Rust twin: udp_echo_server.rs. Its client: udp_echo_client.c.
 */
#include "common/common.h"

#define ARGUMENTS "[--bind ADDRESS] [--max-messages N] PORT"
static in_port_t echoServPort;
static const char *bindAddress = NULL; /* any */
static unsigned long maxMessages = 0;  /* no end */

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},
        {"max-messages", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'b': bindAddress = dotted(optarg); break;
        case 'm': maxMessages = number(optarg, 1, ULONG_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind != 1)
        usage('?', argv[0], ARGUMENTS);
    echoServPort = number(argv[optind], 0, 65535);
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    static char echoBuffer[DATAGRAM]; /* none is longer, so none is cut */

    /* 1. Create a UDP socket. */
    int servSock;
    if ((servSock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");

    /* 2. Assign a port to the socket. */
    struct sockaddr_in echoServAddr;
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;
    echoServAddr.sin_addr.s_addr = bindAddress ? inet_addr(bindAddress) : htonl(INADDR_ANY);
    echoServAddr.sin_port = htons(echoServPort);
    if (bind(servSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("bind() failed");

    /* Not on the slide: say so, with the port that port 0 became. */
    socklen_t echoServLen = sizeof(echoServAddr);
    if (getsockname(servSock, (struct sockaddr *)&echoServAddr, &echoServLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d\n", inet_ntoa(echoServAddr.sin_addr), ntohs(echoServAddr.sin_port));

    /* 3. Repeatedly communicate: */
    unsigned long messages = 0;
    while (maxMessages == 0 || messages < maxMessages) {
        /* Block until a datagram comes. Zero bytes are one too. */
        struct sockaddr_in echoClientAddr;
        socklen_t clientAddrLen = sizeof(echoClientAddr);
        ssize_t recvMsgSize;
        while ((recvMsgSize = recvfrom(servSock, echoBuffer, DATAGRAM, 0, (struct sockaddr *)&echoClientAddr,
                                       &clientAddrLen)) < 0)
            goOnAfter("recvfrom() failed");

        /* Not on the slide: no answer that could set two servers on each other. */
        if (!mayAnswer(&echoClientAddr, &echoServAddr))
            continue;

        /* Send it back. What goes wrong with one client is that client's loss alone. */
        ssize_t sent = sendto(servSock, echoBuffer, recvMsgSize, 0, (struct sockaddr *)&echoClientAddr,
                              sizeof(echoClientAddr));
        report(&echoClientAddr, sent < 0 ? "sendto() failed" : NULL);
        messages++;
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    return 0;
}
