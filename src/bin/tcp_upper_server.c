/*
 * tcp_upper_server - answers each client in upper case, one client at a time.
 *
 * Usage: tcp_upper_server [--bind ADDRESS] [--backlog N] [--max-clients N] [--once] [--unicode] [--quiet] [--announce] [PORT]
 * Follows: Kurose & Ross 2.7.2, TCPServer.py; --announce and the log are its interactive variant's.
 * Rust twin: tcp_upper_server.rs. Its client: tcp_upper_client.c.
 */
#include "common/common.h"

#define SERVER_PORT 12000 /* the book's */
#define MAXPENDING 1      /* connections the kernel may queue before accept takes them */
#define RCVBUFSIZE 4096   /* bytes asked of each recv */
#define GOODBYE 1         /* seconds that a client of --once may go on sending */

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--once] [--unicode] [--quiet] [--announce] [PORT]"
static in_port_t serverPort = SERVER_PORT;
static const char *bindAddress = NULL; /* any */
static int backlog = MAXPENDING;
static unsigned long maxClients = 0; /* no end */
static int once = 0, unicode = 0, quiet = 0, announced = 0;

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},        {"backlog", required_argument, NULL, 'l'},
        {"max-clients", required_argument, NULL, 'm'}, {"once", no_argument, &once, 1},
        {"unicode", no_argument, &unicode, 1},         {"quiet", no_argument, &quiet, 1},
        {"announce", no_argument, &announced, 1},      {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},           {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 0: break;
        case 'b': bindAddress = dotted(optarg); break;
        case 'l': backlog = number(optarg, 0, INT_MAX); break;
        case 'm': maxClients = number(optarg, 1, ULONG_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind > 1)
        usage('?', argv[0], ARGUMENTS);
    if (argc - optind == 1)
        serverPort = number(argv[optind], 0, 65535);
    if (unicode)
        speakUnicode();
}

static const char *answer(int connectionSocket, const struct sockaddr_in *addr);

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);

    /* 1. Create the welcoming socket. */
    int serverSocket;
    if ((serverSocket = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)) < 0)
        DieWithError("socket() failed");

    /* Not in the book: a restarted server need not wait until its old connections have faded away. */
    int on = 1;
    if (setsockopt(serverSocket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");

    /* 2. Bind it to the server's port. */
    struct sockaddr_in serverAddr;
    memset(&serverAddr, 0, sizeof(serverAddr));
    serverAddr.sin_family = AF_INET;
    serverAddr.sin_addr.s_addr = bindAddress ? inet_addr(bindAddress) : htonl(INADDR_ANY);
    serverAddr.sin_port = htons(serverPort);
    if (bind(serverSocket, (struct sockaddr *)&serverAddr, sizeof(serverAddr)) < 0)
        DieWithError("bind() failed");

    /* 3. Listen for clients that knock. */
    if (listen(serverSocket, backlog) < 0)
        DieWithError("listen() failed");

    /* Not in the book: say so, with the port that port 0 became. */
    socklen_t serverLen = sizeof(serverAddr);
    if (getsockname(serverSocket, (struct sockaddr *)&serverAddr, &serverLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d\n", inet_ntoa(serverAddr.sin_addr), ntohs(serverAddr.sin_port));
    if (announced)
        announce(&serverAddr);

    /* 4. Repeatedly: */
    for (unsigned long clients = 0; maxClients == 0 || clients < maxClients; clients++) {
        /* a. Accept a client: a new socket, the connection to it. */
        struct sockaddr_in addr;
        socklen_t addrLen = sizeof(addr);
        int connectionSocket;
        while ((connectionSocket = accept(serverSocket, (struct sockaddr *)&addr, &addrLen)) < 0)
            goOnAfter("accept() failed");

        /* b. Answer its sentences. What goes wrong with one client is that client's loss alone. */
        report(&addr, answer(connectionSocket, &addr));

        /* c. Close the connection. */
        report(&addr, close(connectionSocket) < 0 ? "close() failed" : NULL);
    }
    if (close(serverSocket) < 0)
        DieWithError("close() failed");
    return 0;
}

static const char *seeOff(int connectionSocket, char *sentence);

/* Answers each piece of the stream as it comes, until the client has sent all. Returns NULL, or what failed. */
static const char *answer(int connectionSocket, const struct sockaddr_in *addr)
{
    static char sentence[RCVBUFSIZE], reply[3 * RCVBUFSIZE];
    size_t held = 0; /* bytes of a character whose rest is still to come */
    for (;;) {
        ssize_t received = recv(connectionSocket, sentence + held, RCVBUFSIZE - held, 0);
        if (received < 0)
            return "recv() failed";
        if (received > 0 && !quiet)
            logRequest(addr, sentence + held, received);

        int last = received == 0 || once;
        size_t have = held + received, replyLen;
        size_t done = upper(sentence, have, unicode, last, reply, &replyLen);
        const char *failed = sendAll(connectionSocket, reply, replyLen);
        if (failed != NULL)
            return failed;
        if (last)
            break;
        memmove(sentence, sentence + done, have - done);
        held = have - done;
    }
    return once ? seeOff(connectionSocket, sentence) : NULL;
}

/* Not in the book: a close with unread bytes resets the connection, and the reply on its way is lost. Take them first. */
static const char *seeOff(int connectionSocket, char *sentence)
{
    struct timeval patience = {.tv_sec = GOODBYE};
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (shutdown(connectionSocket, SHUT_WR) < 0)
        return "shutdown() failed";
    if (setsockopt(connectionSocket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        return "setsockopt() failed";
    for (ssize_t n; (n = recv(connectionSocket, sentence, RCVBUFSIZE, 0)) > 0 || (n < 0 && errno == EINTR);) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - start.tv_sec) * 1000000000LL + now.tv_nsec - start.tv_nsec >= GOODBYE * 1000000000LL)
            break;
    }
    return NULL;
}
