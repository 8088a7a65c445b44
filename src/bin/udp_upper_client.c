/*
 * udp_upper_client - sends each typed line in one datagram and prints the one that comes back.
 *
 * Usage: udp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]
 * Follows: Kurose & Ross 2.7.1, UDPClient.py. The loop and the arguments are those of
 * its interactive variant.
 * Rust twin: udp_upper_client.rs. Its server: udp_upper_server.c.
 */
#include <errno.h>      /* errno */
#include <netdb.h>      /* struct addrinfo, freeaddrinfo() */
#include <sys/socket.h> /* socket(), sendto() */
#include <unistd.h>     /* close(), isatty() */

#include "common/common.h"   /* DieWithError(), addresses(), answerFrom() and its recvfrom() */
#include "common/deadline.h" /* noAnswer() */

#define SERVER_PORT 12000 /* the book's */
#define PATIENCE 1        /* seconds for each address but the last, without --timeout */

static const char *serverIP = "127.0.0.1"; /* the arguments */
static in_port_t serverPort = SERVER_PORT;
static unsigned timeout = 0, tries = 0; /* not given */

/* Step 1, for one of the server's addresses: the next, if this machine does not have its family. */
static int socketTo(struct addrinfo **server)
{
    for (;; *server = (*server)->ai_next) {
        /* 1. Create a UDP socket. */
        struct addrinfo *address = *server;
        int clientSocket = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (clientSocket >= 0)
            return clientSocket;
        if (address->ai_next == NULL)
            DieWithError("socket() failed");
    }
}

/* Steps 2 and 3, as often as --tries says. Returns -1 if they fail and there is another address. */
static ssize_t ask(int clientSocket, const struct addrinfo *server, const char *message,
                   size_t messageLen, char *modifiedMessage)
{
    int last = server->ai_next == NULL;
    unsigned patience = timeout > 0 || last ? timeout : PATIENCE, triesLeft = tries;
    ssize_t len;
    do {
        /* 2. Send a message to the server's address. */
        if (within(sendto(clientSocket, message, messageLen, 0,
                          server->ai_addr, server->ai_addrlen),
                   messageLen) < 0) {
            if (last)
                DieWithError("sendto() failed");
            return -1;
        }

        /* 3. Receive it in upper case. */
        len = answerFrom(server->ai_addr, server->ai_addrlen, clientSocket, modifiedMessage,
                         DATAGRAM_IPV6, patience);
    } while (len < 0 && errno == EAGAIN && triesLeft-- > 1); /* lost: send it again */
    if (len < 0 && last && errno == EAGAIN)
        die(noAnswer((unsigned long long)timeout * (tries > 0 ? tries : 1), 0));
    if (len < 0 && last)
        DieWithError("recvfrom() failed");
    return len;
}

static size_t unpadded(const char *reply, size_t replyLen, size_t messageLen);

/* All steps, for each sentence. */
static void converse(void)
{
    static char modifiedMessage[DATAGRAM_IPV6]; /* the longest possible datagram fits */
    struct addrinfo *servers = addresses(serverIP, serverPort, SOCK_DGRAM);
    struct addrinfo *server = servers; /* the one to ask; without an answer the next */
    int typing = isatty(STDIN_FILENO);
    char *message = NULL;
    size_t size = 0;
    ssize_t len;

    while (typing || !inputEnded()) {
        int clientSocket = socketTo(&server);
        if (typing)
            prompt();
        ssize_t messageLen = readLine(&message, &size);
        if (messageLen < 0) {
            print("\n", 1); /* after the prompt */
            if (close(clientSocket) < 0)
                DieWithError("close() failed");
            break;
        }

        while ((len = ask(clientSocket, server, message, messageLen, modifiedMessage)) < 0) {
            if (close(clientSocket) < 0) /* try its next address */
                DieWithError("close() failed");
            server = server->ai_next;
            clientSocket = socketTo(&server);
        }
        size_t replyLen = unpadded(modifiedMessage, len, messageLen);
        if (replyLen == (size_t)messageLen && memcmp(modifiedMessage, message, replyLen) == 0)
            dieIfAlone(clientSocket, server->ai_addr, server->ai_addr, server->ai_addrlen);
        show("From Server: ", modifiedMessage, replyLen);

        /* 4. Close the socket. */
        if (close(clientSocket) < 0)
            DieWithError("close() failed");
    }
    freeaddrinfo(servers);
}

/*
 * A reply's length without the zero bytes beyond the message's length: Java's server sends back its
 * whole buffer.
 */
static size_t unpadded(const char *reply, size_t replyLen, size_t messageLen)
{
    while (replyLen > messageLen && reply[replyLen - 1] == '\0')
        replyLen--;
    return replyLen;
}

/* ---- Arguments ---- */

#define ARGUMENTS "[-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]"

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

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    converse();
    return 0;
}
