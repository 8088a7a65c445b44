/*
 * udp_upper_client - sends each line that is typed to a server in one datagram and prints the one that comes back.
 *
 * Usage: udp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]
 * Follows: Kurose & Ross 2.7.1, UDPClient.py; the loop and the arguments are its interactive variant's.
 * Rust twin: udp_upper_client.rs. Its server: udp_upper_server.c.
 */
#include "common/common.h"

#define SERVER_PORT 12000 /* the book's */
#define PATIENCE 1        /* seconds for an address that is not the last, if nothing else is said */

#define ARGUMENTS "[-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]"
static const char *serverIP = "127.0.0.1";
static in_port_t serverPort = SERVER_PORT;
static unsigned timeout = 0; /* wait for ever */
static unsigned tries = 0;   /* not given: 1 */

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"ipaddress", required_argument, NULL, 'i'}, {"port", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 't'},   {"tries", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},            {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "i:p:hV", options, NULL)) != -1;)
        switch (c) {
        case 'i': serverIP = name(optarg); break;
        case 'p': serverPort = number(optarg, 0, 65535); break;
        case 't': timeout = number(optarg, 1, UINT_MAX); break;
        case 'n': tries = number(optarg, 1, UINT_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc != optind || (tries > 0 && timeout == 0))
        usage('?', argv[0], ARGUMENTS);
}

static int socketTo(struct addrinfo **server);
static size_t unpadded(const char *reply, size_t replyLen, size_t messageLen);

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    struct addrinfo *servers = addresses(serverIP, serverPort, SOCK_DGRAM);
    struct addrinfo *server = servers; /* the one to ask: the first, and once that has not answered the next */
    static char modifiedMessage[DATAGRAM_IPV6]; /* none is longer, so none is cut */
    char *message = NULL;
    size_t size = 0;
    int typing = isatty(STDIN_FILENO);

    while (typing || !inputEnded()) {
        /* 1. Create a UDP socket. */
        int clientSocket = socketTo(&server);

        /* 2. Send a message to the server's address. */
        if (typing)
            printLine("Input lowercase sentence: ");
        ssize_t messageLen = readLine(&message, &size);
        if (messageLen < 0) {
            printLine("\n"); /* after the prompt */
            if (close(clientSocket) < 0)
                DieWithError("close() failed");
            break;
        }

        ssize_t len;
        unsigned triesLeft = tries;
        for (;;) {
            int last = server->ai_next == NULL;
            const char *failed = "sendto() failed";
            if (sendto(clientSocket, message, messageLen, 0, server->ai_addr, server->ai_addrlen) >= 0) {
                /* 3. Receive it in upper case. */
                failed = "recvfrom() failed";
                len = answerFrom(server->ai_addr, server->ai_addrlen, clientSocket, modifiedMessage, DATAGRAM_IPV6,
                                 timeout > 0 || last ? timeout : PATIENCE);
                if (len >= 0)
                    break;
            }
            if (errno == EAGAIN && triesLeft > 1) {
                triesLeft--; /* lost: send it again */
                continue;
            }
            if (last)
                DieWithError(failed);
            if (close(clientSocket) < 0) /* it has another address */
                DieWithError("close() failed");
            server = server->ai_next;
            clientSocket = socketTo(&server);
            triesLeft = tries;
        }
        show("From Server: ", modifiedMessage, unpadded(modifiedMessage, len, messageLen));

        /* 4. Close the socket. */
        if (close(clientSocket) < 0)
            DieWithError("close() failed");
    }
    freeaddrinfo(servers);
    return 0;
}

/* A socket to ask the server by: at its next address, if this machine does not have this one's family. */
static int socketTo(struct addrinfo **server)
{
    for (;; *server = (*server)->ai_next) {
        int sock = socket((*server)->ai_family, (*server)->ai_socktype, (*server)->ai_protocol);
        if (sock >= 0)
            return sock;
        if ((*server)->ai_next == NULL)
            DieWithError("socket() failed");
    }
}

/* A reply's length without the zero bytes beyond the message's length: Java's server sends back its whole buffer. */
static size_t unpadded(const char *reply, size_t replyLen, size_t messageLen)
{
    while (replyLen > messageLen && reply[replyLen - 1] == '\0')
        replyLen--;
    return replyLen;
}
