/*
 * echo.h - what the echo servers over TCP share: their arguments and, for the concurrent ones,
 * steps 1 to 3 and serving one client. The Rust programs have the same in echo.rs.
 */
#ifndef ECHO_H
#define ECHO_H

#include "common.h"
#include <pthread.h>
#include <sys/prctl.h>

#define MAXPENDING 5    /* connections the kernel may queue before accept takes them */
#define RCVBUFSIZE 4096 /* bytes asked of each recv */

/* ---- The arguments of every echo server ---- */

static in_port_t echoServPort;
static const char *bindAddress = NULL; /* any */
static int backlog = MAXPENDING;
static unsigned long long maxClients = ULLONG_MAX; /* run forever */
static unsigned idleTimeout = 0;                   /* none */

/* An option that only one server has: a number of at least 1. `alias` is a second name, or NULL. */
struct extraOption {
    const char *name, *alias;
    unsigned *value;
};

/*
 * Reads the arguments that all servers have, and the options of this one: an array that ends with
 * an entry without a name, or NULL.
 */
static inline void parse(int argc, char *argv[], const struct extraOption *extra,
                         const char *arguments)
{
    struct option options[16] = {
        {"bind", required_argument, NULL, 'b'},        {"backlog", required_argument, NULL, 'l'},
        {"max-clients", required_argument, NULL, 'm'}, {"idle-timeout", required_argument, NULL,
                                                        'i'},
        {"help", no_argument, NULL, 'h'},              {"version", no_argument, NULL, 'V'},
    };
    int known = 6;
    for (int i = 0; extra != NULL && extra[i].name != NULL; i++) {
        options[known++] = (struct option){extra[i].name, required_argument, NULL, 256 + i};
        if (extra[i].alias != NULL)
            options[known++] = (struct option){extra[i].alias, required_argument, NULL, 256 + i};
    }
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'b': bindAddress = dotted(optarg); break;
        case 'l': backlog = number(optarg, 0, INT_MAX); break;
        case 'm': maxClients = number(optarg, 1, ULLONG_MAX); break;
        case 'i': idleTimeout = number(optarg, 1, UINT_MAX); break;
        default:
            if (c < 256)
                usage(c, argv[0], arguments);
            *extra[c - 256].value = number(optarg, 1, UINT_MAX);
        }
    if (argc - optind != 1)
        usage('?', argv[0], arguments);
    echoServPort = number(argv[optind], 0, 65535);
}

/* ---- Steps 1 to 3 ---- */

/* The same as in tcp_echo_server.c: a listening socket, and the line "listening on". */
static inline int listening(int type)
{
    int servSock, on = 1;
    struct sockaddr_in echoServAddr;
    socklen_t echoServLen = sizeof(echoServAddr);

    /* 1. Create a TCP socket. */
    if ((servSock = socket(PF_INET, type, IPPROTO_TCP)) < 0)
        DieWithError("socket() failed");
    if (setsockopt(servSock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");

    /* 2. Assign a port to the socket. */
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;                /* Internet address family */
    echoServAddr.sin_addr.s_addr = htonl(INADDR_ANY); /* Any incoming interface */
    if (bindAddress != NULL)
        echoServAddr.sin_addr.s_addr = inet_addr(bindAddress); /* --bind: this one alone */
    echoServAddr.sin_port = htons(echoServPort); /* Local port */
    if (bind(servSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("bind() failed");

    /* 3. Set the socket to listen. */
    if (listen(servSock, backlog) < 0)
        DieWithError("listen() failed");
    if (getsockname(servSock, (struct sockaddr *)&echoServAddr, &echoServLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d", inet_ntoa(echoServAddr.sin_addr), ntohs(echoServAddr.sin_port));
    return servSock;
}

/* ---- One client that has a process or a thread to itself ---- */

/* Attributes of a thread with a stack of 64 KiB, more than enough to serve a client. */
static inline void smallStack(pthread_attr_t *attr)
{
    if ((errno = pthread_attr_init(attr)) != 0)
        DieWithError("pthread_attr_init() failed");
    if ((errno = pthread_attr_setstacksize(attr, 64 * 1024)) != 0)
        DieWithError("pthread_attr_setstacksize() failed");
}

static inline void communicate(int clntSock, const struct sockaddr_in *echoClntAddr)
{
    char echoBuffer[RCVBUFSIZE];
    ssize_t recvMsgSize;

    if (setTimeouts(clntSock, idleTimeout) < 0) {
        WarnWithError(echoClntAddr, "setsockopt() failed");
        return;
    }
    /* zero indicates end of transmission */
    while ((recvMsgSize = within(recv(clntSock, echoBuffer, RCVBUFSIZE, 0), RCVBUFSIZE)) != 0) {
        if (recvMsgSize < 0 && errno == EINTR)
            continue; /* after SIGSTOP and SIGCONT, with a time-out set */
        if (recvMsgSize < 0) {
            WarnWithError(echoClntAddr, "recv() failed");
            return;
        }
        if (sendAll(clntSock, echoBuffer, recvMsgSize) < 0) {
            WarnWithError(echoClntAddr, "send() failed");
            return;
        }
    }
}

/* Steps 4b and 4c: echoes until the client has sent all, then closes the connection. */
static inline void serveClient(int clntSock, const struct sockaddr_in *echoClntAddr)
{
    communicate(clntSock, echoClntAddr);
    if (close(clntSock) < 0)
        WarnWithError(echoClntAddr, "close() failed");
}

/* To be called in a new child process: it ends when the server ends, for whatever reason. */
static inline void endWithParent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        exit(1); /* too late: the server has ended already */
}

/* ---- Several clients, served by a single thread ---- */

/*
 * The state of a connection that never makes the others wait, without its socket. It holds in
 * memory only the bytes that its client has not yet taken. While it holds some, nothing more is
 * received from the client.
 */
struct client {
    struct sockaddr_in addr;
    char *held;
    ssize_t size, sent;  /* bytes held, and how many of them have been sent */
    long long lastMoved; /* when a byte last moved, if there is an idle time-out */
};

/* The current time in milliseconds, if there is an idle time-out. */
static inline long long now(void)
{
    struct timespec time = {0};
    if (idleTimeout > 0)
        clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/*
 * The longest time to wait for any client, in milliseconds: a second if there is an idle time-out,
 * else -1 (no limit).
 */
static inline int longestWait(int paused)
{
    if (paused)
        return PAUSE;
    return idleTimeout > 0 ? 1000 : -1;
}

static inline struct client newClient(const struct sockaddr_in *addr, long long now)
{
    return (struct client){.addr = *addr, .lastMoved = now};
}

/*
 * Whether the server has bytes that this client must take. Otherwise it waits for bytes from the
 * client.
 */
static inline int holdsBytes(const struct client *client)
{
    return client->held != NULL;
}

/*
 * Keeps the bytes that the client has not taken. Returns 0, or -1 without memory; then the client
 * is lost.
 */
static inline int hold(struct client *client, const char *rest, ssize_t size)
{
    if ((client->held = malloc(size)) == NULL)
        return -1;
    memcpy(client->held, rest, size);
    client->size = size;
    client->sent = 0;
    return 0;
}

/*
 * Step 4b, as far as possible without waiting: receives what has arrived and sends back what the
 * client takes. Returns whether the client is still connected. All clients use one buffer in turn.
 */
static inline int echoSome(int sock, struct client *client, long long now)
{
    static char echoBuffer[RCVBUFSIZE];
    const char *message = echoBuffer, *failed = "send() failed";
    ssize_t size;
    client->lastMoved = now;
    if (holdsBytes(client)) {
        message = client->held + client->sent;
        size = client->size - client->sent;
    } else {
        size = within(recv(sock, echoBuffer, RCVBUFSIZE, MSG_DONTWAIT), RCVBUFSIZE);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return 1; /* not ready after all, or a signal came */
        if (size < 0)
            WarnWithError(&client->addr, "recv() failed");
        if (size <= 0)
            return 0; /* zero indicates end of transmission */
    }
    ssize_t n = within(send(sock, message, size, MSG_DONTWAIT), size);
    if (n == size && message == echoBuffer)
        return 1;
    if (n == 0)
        errno = EIO; /* a correct kernel never returns this */
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        n = 0;
    else if (n <= 0)
        goto lost;
    if (message == echoBuffer) {
        if (hold(client, message + n, size - n) == 0)
            return 1;
        failed = "malloc() failed";
        goto lost;
    }
    client->sent += n;
    if (client->sent == client->size) {
        free(client->held);
        client->held = NULL;
    }
    return 1;

lost:
    WarnWithError(&client->addr, failed);
    return 0;
}

/* Whether no byte has moved for too long. Reports it. */
static inline int isIdle(const struct client *client, long long now)
{
    if (idleTimeout == 0 || now - client->lastMoved < idleTimeout * 1000LL)
        return 0;
    errno = EAGAIN;
    if (holdsBytes(client))
        WarnWithError(&client->addr, "send() failed");
    else
        WarnWithError(&client->addr, "recv() failed");
    return 1;
}

/* Step 4c: closes the connection. */
static inline void closeClient(int sock, struct client *client)
{
    if (close(sock) < 0)
        WarnWithError(&client->addr, "close() failed");
    free(client->held);
}

#endif
