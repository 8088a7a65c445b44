/*
 * udp_upper_server - answers each datagram with the same in upper case.
 *
 * Usage: udp_upper_server [OPTIONS] [PORT]
 * Follows: Kurose & Ross 2.7.1, UDPServer.py. --announce and the log are those of its
 * interactive variant.
 * Rust twin: udp_upper_server.rs. Its client: udp_upper_client.c.
 */
#include <arpa/inet.h>  /* htonl(), htons(), inet_addr() */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset() */
#include <sys/socket.h> /* socket(), bind(), recvfrom(), sendto() */
#include <unistd.h>     /* close() */

#include "common/asked.h"  /* answerFromAsked() */
#include "common/common.h" /* DieWithError(), WarnWithError(), recoverFrom(), mayAnswer() */
#include "common/text.h"   /* upper() */

#define SERVER_PORT 12000 /* the book's */

static in_port_t serverPort = SERVER_PORT; /* the arguments */
static const char *bindAddress = NULL;
static unsigned long long maxMessages = ULLONG_MAX;
static int unicode = 0, quiet = 0, announced = 0, fromAsked = 0;

static size_t inUpperCase(const struct sockaddr_in *client, const char *message, size_t len,
                          char *reply);

static void serve(void)
{
    static char message[DATAGRAM]; /* the longest possible datagram fits */
    static char modifiedMessage[3 * DATAGRAM];
    int serverSocket;
    struct sockaddr_in serverAddr, clientAddr;
    socklen_t serverLen = sizeof(serverAddr), clientLen;
    ssize_t len;
    int on = 1;

    /* 1. Create a UDP socket. */
    if ((serverSocket = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");

    /* Not in the book: with --from-asked each datagram says which of our addresses was asked. */
    if (fromAsked && setsockopt(serverSocket, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");

    /* 2. Bind it to the server's port. */
    memset(&serverAddr, 0, sizeof(serverAddr));
    serverAddr.sin_family = AF_INET;                /* Internet address family */
    serverAddr.sin_addr.s_addr = htonl(INADDR_ANY); /* Any incoming interface */
    if (bindAddress != NULL)
        serverAddr.sin_addr.s_addr = inet_addr(bindAddress); /* --bind: this one only */
    serverAddr.sin_port = htons(serverPort); /* Local port */
    if (bind(serverSocket, (struct sockaddr *)&serverAddr, sizeof(serverAddr)) < 0)
        DieWithError("bind() failed");

    /* Not in the book: print the address, with the port chosen for port 0. */
    if (getsockname(serverSocket, (struct sockaddr *)&serverAddr, &serverLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d", inet_ntoa(serverAddr.sin_addr), ntohs(serverAddr.sin_port));
    if (announced)
        announce(&serverAddr);

    /* Not in the book: the same with other calls. */
    if (fromAsked) {
        answerFromAsked(serverSocket, &serverAddr, maxMessages, inUpperCase);
        if (close(serverSocket) < 0)
            DieWithError("close() failed");
        return;
    }

    /* 3. Repeatedly: Run forever, or for --max-messages. */
    unsigned long long messages = 0;
    while (messages < maxMessages) {
        /* a. Receive a message, and the address it came from. */
        clientLen = sizeof(clientAddr);
        while ((len = receivedFrom(
                    recvfrom(serverSocket, message, DATAGRAM, 0,
                             (struct sockaddr *)&clientAddr, &clientLen),
                    DATAGRAM, &clientAddr, &clientLen)) < 0)
            recoverFrom("recvfrom() failed");

        /* Not in the book: two servers must not answer each other without end. */
        if (!mayAnswer(&clientAddr, &serverAddr))
            continue;
        if (!quiet)
            logRequest(&clientAddr, message, len);

        /* b. Send it back in upper case. An error ends this client only, not the server. */
        size_t modifiedLen;
        upper(message, len, unicode, 1, modifiedMessage, &modifiedLen);
        if (within(sendto(serverSocket, modifiedMessage, modifiedLen, 0,
                          (struct sockaddr *)&clientAddr, sizeof(clientAddr)),
                   modifiedLen) < 0)
            WarnWithError(&clientAddr, "sendto() failed");
        messages++;
    }
    if (close(serverSocket) < 0)
        DieWithError("close() failed");
}

/* The answer for --from-asked. */
static size_t inUpperCase(const struct sockaddr_in *client, const char *message, size_t len,
                          char *reply)
{
    size_t replyLen;
    if (!quiet)
        logRequest(client, message, len);
    upper(message, len, unicode, 1, reply, &replyLen);
    return replyLen;
}

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[--bind ADDRESS] [--from-asked] [--max-messages N] [--unicode] [--quiet] [--announce] " \
    "[PORT]"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},
        {"from-asked", no_argument, &fromAsked, 1},
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
        case 'm': maxMessages = number(optarg, 1, ULLONG_MAX); break;
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
    serve();
    return 0;
}
