/*
 * tcp_upper_server - answers each client in upper case, one client at a time.
 *
 * Usage: tcp_upper_server [OPTIONS] [PORT]
 * Follows: Kurose & Ross 2.7.2, TCPServer.py. --announce and the log are those of its
 * interactive variant.
 * Rust twin: tcp_upper_server.rs. Its client: tcp_upper_client.c.
 */
#include <arpa/inet.h>  /* htonl(), htons(), inet_addr() */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset(), memmove() */
#include <sys/socket.h> /* socket(), bind(), listen(), accept(), recv(), shutdown() */
#include <unistd.h>     /* close() */

#include "common/common.h" /* DieWithError(), WarnWithError(), recoverFrom(), sendAll() */
#include "common/text.h"   /* upper() */

#define SERVER_PORT 12000 /* the book's */
#define MAXPENDING 1      /* connections the kernel may queue before accept takes them */
#define RCVBUFSIZE 4096   /* bytes asked of each recv */
#define GOODBYE 1         /* seconds that a client of --once may go on sending */

static in_port_t serverPort = SERVER_PORT; /* the arguments */
static const char *bindAddress = NULL;
static int backlog = MAXPENDING, once = 0, unicode = 0, quiet = 0, announced = 0;
static unsigned long long maxClients = ULLONG_MAX;

static void answer(int connectionSocket, const struct sockaddr_in *addr);

static void serve(void)
{
    int serverSocket, connectionSocket, on = 1;
    struct sockaddr_in serverAddr, addr;
    socklen_t serverLen = sizeof(serverAddr), addrLen;

    /* 1. Create the welcoming socket. */
    if ((serverSocket = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)) < 0)
        DieWithError("socket() failed");

    /* Not in the book: a restarted server may bind while old connections are in TIME_WAIT. */
    if (setsockopt(serverSocket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
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

    /* 3. Listen for clients that knock. */
    if (listen(serverSocket, backlog) < 0)
        DieWithError("listen() failed");

    /* Not in the book: print the address, with the port chosen for port 0. */
    if (getsockname(serverSocket, (struct sockaddr *)&serverAddr, &serverLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d", inet_ntoa(serverAddr.sin_addr), ntohs(serverAddr.sin_port));
    if (announced)
        announce(&serverAddr);

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    for (unsigned long long clients = 0; clients < maxClients; clients++) {
        /* a. Accept a client: a new socket, the connection to it. */
        addrLen = sizeof(addr);
        while ((connectionSocket = acceptedFrom(
                    accept(serverSocket, (struct sockaddr *)&addr, &addrLen),
                    &addr, &addrLen)) < 0)
            recoverFrom("accept() failed");

        /* b. Answer its sentences. An error ends this client only, not the server. */
        answer(connectionSocket, &addr);

        /* c. Close the connection. */
        if (close(connectionSocket) < 0)
            WarnWithError(&addr, "close() failed");
    }
    if (close(serverSocket) < 0)
        DieWithError("close() failed");
}

static void seeOff(int connectionSocket, const struct sockaddr_in *addr, char *sentence);

/* Answers each piece of the stream as it comes, until the client has sent all. */
static void answer(int connectionSocket, const struct sockaddr_in *addr)
{
    static char sentence[RCVBUFSIZE], reply[3 * RCVBUFSIZE];
    size_t held = 0; /* bytes of an incomplete character */
    for (;;) {
        ssize_t received = within(recv(connectionSocket, sentence + held, RCVBUFSIZE - held, 0),
                                  RCVBUFSIZE - held);
        if (received < 0 && errno == EINTR)
            continue; /* a signal came */
        if (received < 0) {
            WarnWithError(addr, "recv() failed");
            return;
        }
        if (received > 0 && !quiet)
            logRequest(addr, sentence + held, received);

        int last = received == 0 || once;
        size_t have = held + received, replyLen;
        size_t done = upper(sentence, have, unicode, last, reply, &replyLen);
        if (sendAll(connectionSocket, reply, replyLen) < 0) {
            WarnWithError(addr, "send() failed");
            return;
        }
        if (last)
            break;
        memmove(sentence, sentence + done, have - done);
        held = have - done;
    }
    if (once)
        seeOff(connectionSocket, addr, sentence);
}

/*
 * Not in the book: a close with unread bytes resets the connection, and the reply is lost on its
 * way. So read them first.
 */
static void seeOff(int connectionSocket, const struct sockaddr_in *addr, char *sentence)
{
    struct timeval patience = {.tv_sec = GOODBYE};
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (shutdown(connectionSocket, SHUT_WR) < 0) {
        WarnWithError(addr, "shutdown() failed");
        return;
    }
    if (setsockopt(connectionSocket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
        WarnWithError(addr, "setsockopt() failed");
        return;
    }
    for (;;) {
        ssize_t n = within(recv(connectionSocket, sentence, RCVBUFSIZE, 0), RCVBUFSIZE);
        if (n == 0 || (n < 0 && errno != EINTR)) /* EINTR: after SIGSTOP and SIGCONT */
            return;
        clock_gettime(CLOCK_MONOTONIC, &now);
        long long gone = (now.tv_sec - start.tv_sec) * 1000000000LL + now.tv_nsec - start.tv_nsec;
        if (gone >= GOODBYE * 1000000000LL)
            return;
    }
}

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[--bind ADDRESS] [--backlog N] [--max-clients N] [--once] [--unicode] [--quiet] " \
    "[--announce] [PORT]"

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
        case 'm': maxClients = number(optarg, 1, ULLONG_MAX); break;
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
