/*
 * udp_upper_server - answers each datagram with the same in upper case.
 *
 * Usage: udp_upper_server [--bind ADDRESS] [--max-messages N] [--unicode] [--quiet] [--announce] [PORT]
 * Follows: Kurose & Ross 2.7.1, UDPServer.py; --announce and the log are its interactive variant's.
 * Rust twin: udp_upper_server.rs. Its client: udp_upper_client.c.
 */
#include "common/common.h"

#define SERVER_PORT 12000 /* the book's */

#define ARGUMENTS "[--bind ADDRESS] [--max-messages N] [--unicode] [--quiet] [--announce] [PORT]"
static in_port_t serverPort = SERVER_PORT;
static const char *bindAddress = NULL; /* any */
static unsigned long maxMessages = 0;  /* no end */
static int unicode = 0, quiet = 0, announced = 0;

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},
        {"max-messages", required_argument, NULL, 'm'},
        {"unicode", no_argument, &unicode, 1},
        {"quiet", no_argument, &quiet, 1},
        {"announce", no_argument, &announced, 1},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 0: break;
        case 'b': bindAddress = dotted(optarg); break;
        case 'm': maxMessages = number(optarg, 1, ULONG_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind > 1)
        usage('?', argv[0], ARGUMENTS);
    if (argc - optind == 1)
        serverPort = number(argv[optind], 0, 65535);
    if (unicode)
        speakUnicode();
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    static char message[DATAGRAM]; /* none is longer, so none is cut */
    static char modifiedMessage[3 * DATAGRAM];

    /* 1. Create a UDP socket. */
    int serverSocket;
    if ((serverSocket = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");

    /* 2. Bind it to the server's port. */
    struct sockaddr_in serverAddr;
    memset(&serverAddr, 0, sizeof(serverAddr));
    serverAddr.sin_family = AF_INET;
    serverAddr.sin_addr.s_addr = bindAddress ? inet_addr(bindAddress) : htonl(INADDR_ANY);
    serverAddr.sin_port = htons(serverPort);
    if (bind(serverSocket, (struct sockaddr *)&serverAddr, sizeof(serverAddr)) < 0)
        DieWithError("bind() failed");

    /* Not in the book: say so, with the port that port 0 became. */
    socklen_t serverLen = sizeof(serverAddr);
    if (getsockname(serverSocket, (struct sockaddr *)&serverAddr, &serverLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d\n", inet_ntoa(serverAddr.sin_addr), ntohs(serverAddr.sin_port));
    if (announced)
        announce(&serverAddr);

    /* 3. Repeatedly: */
    unsigned long messages = 0;
    while (maxMessages == 0 || messages < maxMessages) {
        /* a. Receive a message, and the address it came from. */
        struct sockaddr_in clientAddr;
        socklen_t clientLen = sizeof(clientAddr);
        ssize_t len;
        while ((len = recvfrom(serverSocket, message, DATAGRAM, 0, (struct sockaddr *)&clientAddr, &clientLen)) < 0)
            goOnAfter("recvfrom() failed");
        /* Not in the book: no answer that could set two servers on each other. */
        if (!mayAnswer(&clientAddr, &serverAddr))
            continue;
        if (!quiet)
            logRequest(&clientAddr, message, len);

        /* b. Send it back in upper case. What goes wrong with one client is that client's loss alone. */
        size_t modifiedLen;
        upper(message, len, unicode, 1, modifiedMessage, &modifiedLen);
        ssize_t sent = sendto(serverSocket, modifiedMessage, modifiedLen, 0, (struct sockaddr *)&clientAddr,
                              sizeof(clientAddr));
        report(&clientAddr, sent < 0 ? "sendto() failed" : NULL);
        messages++;
    }
    if (close(serverSocket) < 0)
        DieWithError("close() failed");
    return 0;
}
