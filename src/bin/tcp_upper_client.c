/*
 * tcp_upper_client - sends each typed line to a server and prints what it answers.
 *
 * Usage: tcp_upper_client [-i SERVER] [-p PORT]
 * Follows: Kurose & Ross 2.7.2, TCPClient.py. The loop and the arguments are those of
 * its interactive variant.
 * Rust twin: tcp_upper_client.rs. Its server: tcp_upper_server.c.
 */
#include <errno.h>      /* errno */
#include <netdb.h>      /* struct addrinfo, freeaddrinfo() */
#include <poll.h>       /* poll() */
#include <string.h>     /* memchr() */
#include <sys/socket.h> /* socket(), connect(), send(), recv() */
#include <unistd.h>     /* close(), isatty() */

#include "common/common.h" /* DieWithError(), addresses(), readLine(), show() */

#define SERVER_PORT 12000 /* the book's */
#define RCVBUFSIZE 4096   /* bytes asked of each recv */
#define MORE 65536        /* bytes of a reply beyond three for each byte of its sentence */

static const char *serverIP = "127.0.0.1"; /* the arguments */
static in_port_t serverPort = SERVER_PORT;

/* Steps 1 and 2, at one of the server's addresses. Returns -1 if it fails and there is another. */
static int connectTo(const struct addrinfo *server)
{
    int clientSocket;

    /* 1. Create a TCP socket. */
    if ((clientSocket = socket(server->ai_family, server->ai_socktype, server->ai_protocol)) < 0) {
        if (server->ai_next == NULL)
            DieWithError("socket() failed");
        return -1;
    }

    /* 2. Connect it to the server. */
    if (connect(clientSocket, server->ai_addr, server->ai_addrlen) < 0) {
        if (server->ai_next == NULL)
            DieWithError("connect() failed");
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
    struct addrinfo *server = servers; /* to try: the first, and once that has failed the next */
    int clientSocket, typing = isatty(STDIN_FILENO);
    char *sentence = NULL;
    size_t size = 0, modifiedLen;

    /* Not in the book: a file or pipe as input ends without one more connection. */
    while (typing || !inputEnded()) {
        while ((clientSocket = connectTo(server)) < 0)
            server = server->ai_next; /* it has another address */

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
        char *modifiedSentence = exchange(clientSocket, sentence, len, &modifiedLen);
        show("From Server: ", modifiedSentence, modifiedLen);
        free(modifiedSentence);

        /* 4. Close the connection. */
        if (close(clientSocket) < 0)
            DieWithError("close() failed");
    }
    freeaddrinfo(servers);
}

static int hasReceived(int socket);

/* Sends a line, and receives to the end of the reply's line, or of the stream. */
static char *exchange(int clientSocket, const char *sentence, size_t len, size_t *replyLen)
{
    /*
     * The answer to a line longer than all buffers comes while we still send. If we only sent, both
     * sides would wait for each other without end.
     */
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
        if (room - *replyLen < RCVBUFSIZE) {
            room = 2 * room + RCVBUFSIZE;
            reply = resize(reply, room);
        }
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

/* ---- Arguments ---- */

#define ARGUMENTS "[-i SERVER] [-p PORT]"

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

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    converse();
    return 0;
}
