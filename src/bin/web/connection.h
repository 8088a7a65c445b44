/*
 * web/connection.h - a client of the Web server: its bytes, and how long they may take. The Rust
 * program has the same in web/connection.rs.
 */
#ifndef WEB_CONNECTION_H
#define WEB_CONNECTION_H

#include <sys/sendfile.h>

#include "access.h"
#include "request.h"

#define CHUNK (128 * 1024) /* bytes of a file that a client has --request-timeout to take */
#define DRAIN 2            /* seconds for what a client still sends after its last response */

/* What all threads read. */
static struct {
    int root; /* the directory; no file outside it is ever opened */
    struct credentials credentials;
    unsigned timeout; /* seconds */
    int quiet;
} site;

/* A client, and buffers that are reused for each of its requests. Times are in microseconds. */
struct connection {
    int sock;
    struct sockaddr_storage addr;
    /* The address as text, without the port and with it. */
    char host[INET6_ADDRSTRLEN], client[INET6_ADDRSTRLEN + 24];
    char buffer[LINE + 2];                                      /* a line and its end */
    size_t held, end;   /* the part of the buffer that has not been parsed yet */
    long long patience; /* the current SO_RCVTIMEO; 0: no limit */
    struct request request;
    char name[LINE + sizeof("index.html")]; /* the name of the file, relative to the root */
    char response[3 * LINE + 1024];         /* the response without its file */
    size_t responseLen;
    char line[4 * LINE + 2048]; /* for the log */
    const char *failed;         /* the call that failed last, and why */
    int why;
};

/* Says what went wrong with this client. The server goes on. */
static inline void warn(const struct connection *conn, const char *message)
{
    note("%s: %s: %s", conn->client, message, strerror(errno));
}

/* Keeps the failed call and its reason, which serveClient() prints. Returns -1. */
static inline int fail(struct connection *conn, const char *message)
{
    conn->failed = message;
    conn->why = errno;
    return -1;
}

static inline long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

/*
 * Takes the next line out of the buffer, if all of it is there, into the request. The line ends
 * with CR LF or, typed by hand, with LF. Returns whether there was one, and in `status` the result
 * of takeLine().
 */
static inline int takeNextLine(struct connection *conn, int *status)
{
    const char *line = conn->buffer + conn->held;
    const char *end = memchr(line, '\n', conn->end - conn->held);
    if (end == NULL)
        return 0;
    conn->held = end + 1 - conn->buffer;
    if (end > line && end[-1] == '\r')
        end--;
    *status = takeLine(&conn->request, line, end - line);
    return 1;
}

/*
 * Receives more. Fails with EAGAIN if nothing comes for as long as `patience`. Returns as recv()
 * does.
 */
static inline ssize_t receive(struct connection *conn, long long patience)
{
    if (patience <= 0) {
        errno = EAGAIN; /* a time-out of zero would mean no limit */
        return fail(conn, "recv() failed");
    }
    if (patience != conn->patience) {
        struct timeval value = {.tv_sec = patience / 1000000, .tv_usec = patience % 1000000};
        if (setsockopt(conn->sock, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)) < 0)
            return fail(conn, "setsockopt() failed");
        conn->patience = patience;
    }
    memmove(conn->buffer, conn->buffer + conn->held, conn->end - conn->held);
    conn->end -= conn->held;
    conn->held = 0;
    size_t room = sizeof(conn->buffer) - conn->end;
    ssize_t n = within(recv(conn->sock, conn->buffer + conn->end, room, 0), room);
    if (n < 0)
        return fail(conn, "recv() failed");
    conn->end += n;
    return n;
}

/*
 * Sends the response that is ready. If the client does not take it within --request-timeout, this
 * fails with EAGAIN. Returns 0 or -1.
 */
static inline int sendResponse(struct connection *conn, int flags)
{
    const char *rest = conn->response, *end = rest + conn->responseLen;
    long long deadline = now() + site.timeout * 1000000LL;
    while (rest < end) {
        ssize_t n = within(send(conn->sock, rest, end - rest, flags), end - rest);
        if (n == 0)
            errno = EIO; /* a correct kernel never returns this */
        if (n == 0 || (n < 0 && errno != EINTR))
            return fail(conn, "send() failed");
        if (n > 0)
            rest += n;
        if (rest < end && now() >= deadline) {
            errno = EAGAIN;
            return fail(conn, "send() failed");
        }
    }
    return 0;
}

/*
 * Sends a part of a file from the kernel's page cache. Each chunk has the same time limit as a
 * request. Adds to `sent` the bytes that were sent. Returns 0 or -1.
 */
static inline int sendFile(struct connection *conn, int fd, off_t start, off_t end, long long *sent)
{
    while (start < end) {
        off_t chunk = end - start > CHUNK ? start + CHUNK : end;
        long long deadline = now() + site.timeout * 1000000LL;
        while (start < chunk) {
            off_t offset = start;
            ssize_t n = within(sendfile(conn->sock, fd, &offset, chunk - start), chunk - start);
            if (n == 0)
                errno = EIO; /* the file is shorter now: closing tells the client */
            if (n == 0 || (n < 0 && errno != EINTR))
                return fail(conn, "sendfile() failed");
            if (n > 0) {
                start += n;
                *sent += n;
            }
            if (start < chunk && now() >= deadline) {
                errno = EAGAIN;
                return fail(conn, "sendfile() failed");
            }
        }
    }
    return 0;
}

/*
 * To be called before closing a connection whose client may still be sending: shuts down our side
 * and then receives for a short time. Closing at once would answer further bytes with a reset,
 * which can destroy our last bytes before the client has read them. Returns 0 or -1.
 */
static inline int hangUp(struct connection *conn)
{
    if (shutdown(conn->sock, SHUT_WR) < 0) {
        if (errno == ENOTCONN)
            return 0; /* the client has already disconnected */
        return fail(conn, "shutdown() failed");
    }
    long long deadline = now() + DRAIN * 1000000LL, left = DRAIN * 1000000LL;
    ssize_t n;
    do {
        conn->held = conn->end = 0;
        n = receive(conn, left);
        left = deadline - now();
    } while (n > 0 || (n < 0 && errno == EINTR));
    return 0; /* end, time limit or reset: nothing more can be done for the response */
}

#endif
