/*
 * tcp_upper_client - sends each typed line to a server and prints what it answers.
 *
 * Usage: tcp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS]
 * Follows: Kurose & Ross 2.7.2, TCPClient.py. The loop and the arguments are those of
 * its interactive variant.
 * Rust twin: tcp_upper_client.rs. Its server: tcp_upper_server.c.
 */
#include <errno.h>      /* errno */
#include <netdb.h>      /* struct addrinfo, freeaddrinfo() */
#include <string.h>     /* memchr() */
#include <sys/socket.h> /* socket() */
#include <unistd.h>     /* close(), isatty() */

#include "common/common.h"   /* DieWithError(), addresses(), readLine(), show() */
#include "common/deadline.h" /* connectInTime() and its connect(), send() and recv() likewise */

#define SERVER_PORT 12000 /* the book's */
#define RCVBUFSIZE 4096   /* bytes asked of each recv */
#define MORE 65536        /* bytes of a reply beyond three for each byte of its sentence */

static const char *serverIP = "127.0.0.1"; /* the arguments */
static in_port_t serverPort = SERVER_PORT;
static unsigned timeout = 0; /* not given */

/* Steps 1 and 2 at the first of these addresses. Returns -1 if they fail and there is another. */
static int connectTo(const struct addrinfo *server)
{
    int clientSocket;
    unsigned addresses = 0;
    for (const struct addrinfo *each = server; each != NULL; each = each->ai_next)
        addresses++;

    /* 1. Create a TCP socket. */
    if ((clientSocket = socket(server->ai_family, server->ai_socktype, server->ai_protocol)) < 0) {
        if (server->ai_next == NULL)
            DieWithError("socket() failed");
        return -1;
    }

    /* 2. Connect it to the server. */
    if (connectInTime(clientSocket, server->ai_addr, server->ai_addrlen, addresses) < 0) {
        if (server->ai_next == NULL)
            die(reason(0));
        if (close(clientSocket) < 0)
            DieWithError("close() failed");
        return -1;
    }
    return clientSocket;
}

static char *exchange(int clientSocket, const char *sentence, size_t len, size_t *replyLen);

/* All steps, for each sentence. */
static void converse(void)
{
    struct addrinfo *servers = addresses(serverIP, serverPort, SOCK_STREAM);
    struct addrinfo *server = servers; /* the one to try; after a failure the next */
    int clientSocket, typing = isatty(STDIN_FILENO);
    char *sentence = NULL;
    size_t size = 0, modifiedLen;

    /* Not in the book: at the end of a file or pipe, no further connection is made. */
    while (typing || !inputEnded()) {
        setDeadline(timeout);
        while ((clientSocket = connectTo(server)) < 0)
            server = server->ai_next; /* try its next address */

        /* 3. Send a sentence, receive it in upper case. */
        if (typing)
            prompt();
        ssize_t len = readLine(&sentence, &size);
        if (len < 0) {
            print("\n", 1); /* after the prompt */
            if (close(clientSocket) < 0)
                DieWithError("close() failed");
            break;
        }
        sentence[len++] = '\n'; /* TCP keeps no message boundaries: this is ours */
        setDeadline(timeout);
        char *modifiedSentence = exchange(clientSocket, sentence, len, &modifiedLen);
        if (modifiedLen == (size_t)len - 1 && memcmp(modifiedSentence, sentence, modifiedLen) == 0)
            dieIfAlone(clientSocket, server->ai_addr, server->ai_addr, server->ai_addrlen);
        show("From Server: ", modifiedSentence, modifiedLen);
        free(modifiedSentence);

        /* 4. Close the connection. */
        if (close(clientSocket) < 0)
            DieWithError("close() failed");
    }
    freeaddrinfo(servers);
}

/* Sends a line, and receives to the end of the reply's line, or of the stream. */
static char *exchange(int clientSocket, const char *sentence, size_t len, size_t *replyLen)
{
    size_t sent = 0, room = 0;
    char *reply = NULL;
    *replyLen = 0;
    for (;;) {
        if (sendUntilAnswered(clientSocket, sentence, len, &sent) < 0)
            die(reason(*replyLen > 0));
        if (room - *replyLen < RCVBUFSIZE) {
            room = 2 * room + RCVBUFSIZE;
            reply = resize(reply, room);
        }
        ssize_t n = recvInTime(clientSocket, reply + *replyLen, RCVBUFSIZE);
        if (n < 0)
            die(reason(*replyLen > 0));
        if (n == 0 && *replyLen == 0)
            die("recv() failed: connection closed prematurely");
        char *end = memchr(reply + *replyLen, '\n', n);
        *replyLen = end != NULL ? (size_t)(end - reply) : *replyLen + n;
        if (n == 0 || end != NULL)
            return reply;
        if (*replyLen > 3 * len + MORE) {
            errno = EMSGSIZE; /* not in the book: a limit */
            DieWithError("recv() failed");
        }
    }
}

/* ---- Arguments ---- */

#define ARGUMENTS "[-i SERVER] [-p PORT] [--timeout SECONDS]"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"ipaddress", required_argument, NULL, 'i'},
        {"port", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "i:p:hV", options, NULL)) != -1;)
        switch (c) {
        case 'i': serverIP = name(optarg); break;
        case 'p': serverPort = number(optarg, 0, 65535); break;
        case 't': timeout = number(optarg, 1, UINT_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc != optind)
        usage('?', argv[0], ARGUMENTS);
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    converse();
    return 0;
}
