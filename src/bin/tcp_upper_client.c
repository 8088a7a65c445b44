/*
 * tcp_upper_client - sends each line that is typed to a server and prints what it answers.
 *
 * Usage: tcp_upper_client [-i SERVER] [-p PORT]
 * Follows: Kurose & Ross 2.7.2, TCPClient.py; the loop and the arguments are its interactive variant's.
 * Rust twin: tcp_upper_client.rs. Its server: tcp_upper_server.c.
 */
#include "common/common.h"
#include <poll.h>

#define SERVER_PORT 12000 /* the book's */
#define RCVBUFSIZE 4096   /* bytes asked of each recv */
#define MORE 65536        /* bytes that a reply may have beyond three for each byte of its sentence */

#define ARGUMENTS "[-i SERVER] [-p PORT]"
static const char *serverIP = "127.0.0.1";
static in_port_t serverPort = SERVER_PORT;

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"ipaddress", required_argument, NULL, 'i'},
        {"port", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "i:p:hV", options, NULL)) != -1;)
        switch (c) {
        case 'i': serverIP = name(optarg); break;
        case 'p': serverPort = number(optarg, 0, 65535); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc != optind)
        usage('?', argv[0], ARGUMENTS);
}

static char *exchange(int clientSocket, const char *sentence, size_t len, size_t *replyLen);

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    struct addrinfo *servers = addresses(serverIP, serverPort, SOCK_STREAM);
    struct addrinfo *server = servers; /* the one to try: the first, and once that has failed the next */
    char *sentence = NULL;
    size_t size = 0;
    int typing = isatty(STDIN_FILENO);

    /* Not in the book: input that is no person's ends without one more connection. */
    while (typing || !inputEnded()) {
        int clientSocket;
        for (;; server = server->ai_next) {
            /* 1. Create a TCP socket. */
            if ((clientSocket = socket(server->ai_family, server->ai_socktype, server->ai_protocol)) < 0) {
                if (server->ai_next == NULL)
                    DieWithError("socket() failed");
                continue; /* it has another address */
            }

            /* 2. Connect it to the server. */
            if (connect(clientSocket, server->ai_addr, server->ai_addrlen) == 0)
                break;
            if (server->ai_next == NULL)
                DieWithError("connect() failed");
            if (close(clientSocket) < 0)
                DieWithError("close() failed");
        }

        /* 3. Send a sentence, receive it in upper case. */
        if (typing)
            printLine("Input lowercase sentence: ");
        ssize_t len = readLine(&sentence, &size);
        if (len < 0) {
            printLine("\n"); /* after the prompt */
            if (close(clientSocket) < 0)
                DieWithError("close() failed");
            break;
        }
        sentence[len++] = '\n'; /* TCP keeps no message boundaries: this is ours */
        size_t modifiedLen;
        char *modifiedSentence = exchange(clientSocket, sentence, len, &modifiedLen);
        show("From Server: ", modifiedSentence, modifiedLen);
        free(modifiedSentence);

        /* 4. Close the connection. */
        if (close(clientSocket) < 0)
            DieWithError("close() failed");
    }
    freeaddrinfo(servers);
    return 0;
}

static int hasReceived(int socket);

/* Sends a line, and receives to the end of the reply's line, or of the stream. */
static char *exchange(int clientSocket, const char *sentence, size_t len, size_t *replyLen)
{
    /* The answer to a line longer than all buffers comes while we still send. If we only sent, both sides would wait for ever. */
    int flags = len > RCVBUFSIZE ? MSG_DONTWAIT : 0;
    size_t sent = 0, room = 0;
    char *reply = NULL;
    *replyLen = 0;
    for (;;) {
        if (sent < len) {
            ssize_t n = send(clientSocket, sentence + sent, len - sent, flags);
            if (n < 0 && errno != EAGAIN)
                DieWithError("send() failed");
            if (n >= 0)
                sent += n;
            if (n >= 0 || !hasReceived(clientSocket))
                continue;
        }
        if (room - *replyLen < RCVBUFSIZE && (reply = realloc(reply, room = 2 * room + RCVBUFSIZE)) == NULL)
            DieWithError("realloc() failed");
        ssize_t n = recv(clientSocket, reply + *replyLen, RCVBUFSIZE, 0);
        if (n < 0)
            DieWithError("recv() failed");
        if (n == 0 && *replyLen == 0)
            die("recv() failed: connection closed prematurely");
        char *end = memchr(reply + *replyLen, '\n', n);
        *replyLen = end != NULL ? (size_t)(end - reply) : *replyLen + n;
        if (n == 0 || end != NULL)
            return reply;
        if (*replyLen > 3 * len + MORE) {
            errno = EMSGSIZE; /* not in the book: memory has an end */
            DieWithError("recv() failed");
        }
    }
}

/* Waits until the socket can send or has received something, and says whether it has. */
static int hasReceived(int socket)
{
    struct pollfd fds = {.fd = socket, .events = POLLIN | POLLOUT};
    if (poll(&fds, 1, -1) < 0)
        DieWithError("poll() failed");
    return fds.revents & POLLIN;
}
