/*
 * web_server - sends the files of a directory by HTTP, each client by a thread of its own.
 *
 * Usage: web_server [--root DIR] [OPTIONS] [PORT]
 * Follows: Princeton deck, "Web Server": the five steps of "Handling a client request".
 * Rust twin: web_server.rs, which also has --list. Compare tcp_echo_server_thread.c.
 *
 * web/ has the parts beyond the slide: request.h parses HTTP, connection.h receives and sends with
 * time limits, access.h checks passwords, files.h opens files, generate.h writes a response, log.h
 * a line about it, listening.h listens for IPv4 and IPv6, threads.h starts threads.
 */
#define _GNU_SOURCE        /* strptime(), mempcpy() */
#include "common/common.h" /* DieWithError(), number(), usage() */
#include <errno.h>         /* EAGAIN */
#include <netinet/in.h>    /* in_port_t */
#include <sys/socket.h>    /* accept() */
#include <time.h>          /* tzset() */
#include <unistd.h>        /* close() */

#include "web/connection.h"
#include "web/files.h"
#include "web/generate.h"
#include "web/listening.h"
#include "web/log.h"
#include "web/threads.h"

#define MAXPENDING 511 /* connections the kernel may queue before accept takes them */

static in_port_t port = 8080;
static const char *rootName = ".";
static const char *bindAddress = NULL; /* any */
static int backlog = MAXPENDING;
static unsigned limit = 1000;        /* connections at a time; more wait to be accepted */
static unsigned long maxClients = ULONG_MAX;

static void serveClients(int servSock);
static int serveRequests(struct connection *conn);
static int readRequest(struct connection *conn);
static int translate(struct connection *conn);
static int authorise(struct connection *conn, struct resource *found);
static int respond(struct connection *conn, int status, struct resource *found);

static void serve(void)
{
    limit = allowDescriptors(limit);
    openRoot(rootName);
    /* A socket that listens. */
    int servSock = openListening(bindAddress, port, backlog, site.timeout);
    runThreads(limit, maxClients, serveClients, servSock);
    if (close(servSock) < 0)
        DieWithError("close() failed");
}

/* One of several threads. */
static void serveClients(int servSock)
{
    struct connection *conn = allocate(sizeof(*conn));
    do {
        /* 1. Accept the connection. */
        socklen_t addrLen = sizeof(conn->addr);
        while ((conn->sock = accept(servSock, (struct sockaddr *)&conn->addr, &addrLen)) < 0 ||
               addrLen > sizeof(conn->addr)) {
            if (conn->sock >= 0) { /* a correct kernel never returns this */
                close(conn->sock);
                errno = EAFNOSUPPORT;
            }
            recoverFrom("accept() failed");
            addrLen = sizeof(conn->addr);
        }
        haveAClient(); /* another thread waits for the next client */

        /* 2 to 5, for each request. An error ends this client only, not the server. */
        nameClient(conn);
        if (serveRequests(conn) < 0) {
            errno = conn->why;
            warn(conn, conn->failed);
        }

        /* Close the connection. */
        if (close(conn->sock) < 0)
            warn(conn, "close() failed");
    } while (takeAnother());
    free(conn);
}

static int serveRequests(struct connection *conn)
{
    conn->held = conn->end = conn->patience = 0;
    for (;;) {
        struct resource found = {.fd = -1};

        /* 2. Read and parse the request. */
        int status = readRequest(conn);
        if (status <= 0)
            return status; /* no further request */

        /* 3. Translate the URL to a file name. */
        if (status == 200)
            status = translate(conn);

        /* 4. Determine whether the request is authorised. */
        if (status == 200)
            status = authorise(conn, &found);

        /* 5. Generate and transmit the response. */
        if (respond(conn, status, &found) < 0)
            return -1;
        if (!conn->request.keepAlive) {
            int allIsRead = conn->request.whole && conn->held == conn->end;
            return allIsRead ? 0 : hangUp(conn);
        }
    }
}

/* Step 2. Returns 200, or the refusing status, 0 without a further request, -1 if a call failed. */
static int readRequest(struct connection *conn)
{
    long long timeout = site.timeout * 1000000LL;
    long long deadline = 0; /* set at the first bytes, for the whole request */
    int heard = 0, status;
    clearRequest(&conn->request);
    for (;;) {
        while (takeNextLine(conn, &status))
            if (status != 0)
                return status;
        if (conn->end - conn->held == sizeof(conn->buffer))
            return tooLong(&conn->request, conn->buffer);
        int begun = conn->held < conn->end || conn->request.lineLen > 0;
        long long time = now();
        if ((begun || heard) && deadline == 0)
            deadline = time + timeout;
        ssize_t n = receive(conn, deadline ? deadline - time : timeout);
        if (n > 0)
            heard = 1;
        else if (n == 0)
            return begun ? 400 : 0; /* the end, in the middle of a request or between two */
        else if (errno == EAGAIN)
            return begun ? 408 : 0;
        else if (errno == ECONNRESET && !begun)
            return 0; /* it has left */
        else if (errno != EINTR) /* after SIGSTOP and SIGCONT */
            return -1;
    }
}

/* Step 3. The name is relative to the root and cannot leave it. 200, or why not. */
static int translate(struct connection *conn)
{
    return fileName(conn->request.target, conn->request.targetLen, conn->name);
}

/* Step 4. If the request is authorised, opens the file. Returns 200, or why not. */
static int authorise(struct connection *conn, struct resource *found)
{
    const struct request *request = &conn->request;
    if (site.credentials.name != NULL &&
        !credentialsAreIn(&site.credentials, request->credentials, request->credentialsLen))
        return 401;
    if (isHidden(conn->name))
        return 403;
    return openResource(conn, found);
}

/* Step 5. Sends the headers and a page of our own, then the file. Returns 0 or -1. */
static int respond(struct connection *conn, int status, struct resource *found)
{
    struct body body;
    status = generate(conn, status, found, &body);
    int more = body.start < body.end ? MSG_MORE : 0; /* sent together with the data that follows */
    long long sent = body.page;
    int outcome = sendResponse(conn, more);
    if (found->fd >= 0) {
        if (outcome == 0)
            outcome = sendFile(conn, found->fd, body.start, body.end, &sent);
        if (close(found->fd) < 0)
            warn(conn, "close() failed");
    }
    if (!site.quiet)
        logResponse(conn, status, sent);
    return outcome;
}

/* ---- Arguments ---- */

#define ARGUMENTS                                                                     \
    "[--root DIR] [--bind ADDRESS] [--backlog N] [--limit N] [--max-clients N] "       \
    "[--request-timeout SECONDS] [--user NAME:PASSWORD] [--quiet] [PORT]"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"root", required_argument, NULL, 'r'},
        {"bind", required_argument, NULL, 'b'},
        {"backlog", required_argument, NULL, 'l'},
        {"limit", required_argument, NULL, 'c'},
        {"max-clients", required_argument, NULL, 'm'},
        {"request-timeout", required_argument, NULL, 't'},
        {"user", required_argument, NULL, 'u'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    struct in6_addr any;
    char *user = NULL;
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'r': rootName = optarg; break;
        case 'b':
            bindAddress = optarg;
            if (inet_pton(AF_INET6, optarg, &any) != 1)
                bindAddress = dotted(optarg);
            break;
        case 'l': backlog = number(optarg, 0, INT_MAX); break;
        case 'c': limit = number(optarg, 1, UINT_MAX); break;
        case 'm': maxClients = number(optarg, 1, ULONG_MAX); break;
        case 't': site.timeout = number(optarg, 1, 86400); break;
        case 'u': user = optarg; break;
        case 'q': site.quiet = 1; break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind > 1)
        usage('?', argv[0], ARGUMENTS);
    if (optind < argc)
        port = number(argv[optind], 0, 65535);
    if (user != NULL)
        site.credentials = nameAndPassword(user);
}

int main(int argc, char *argv[])
{
    start(argv);
    site.timeout = 10;
    parse(argc, argv);
    tzset(); /* otherwise the first date would read /etc/localtime */
    serve();
    return 0;
}
