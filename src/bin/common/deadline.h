/*
 * deadline.h - a time limit for waiting: the clients' --timeout. The Rust programs have the same in
 * deadline.rs.
 */
#ifndef COMMON_DEADLINE_H
#define COMMON_DEADLINE_H

#include "common.h"

#define QUIET 1000000 /* microseconds before connect reports which address it waits for */
#define LARGE 4096       /* bytes that fit every socket's send buffer */

/*
 * A moment after which no call waits. A call that would wait longer fails with ETIME, an error that
 * these calls do not return themselves.
 */
static struct {
    unsigned seconds;   /* 0: no limit */
    long long end;      /* microseconds, on the clock of present() */
    const char *failed; /* the call that failed */
} deadline;

/* Remembers the name of a call in case it returned -1. */
static inline int called(const char *failed, int result)
{
    deadline.failed = failed;
    return result;
}

static inline long long present(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static inline void setDeadline(unsigned seconds)
{
    deadline.seconds = seconds;
    deadline.end = present() + seconds * 1000000LL;
}

/* Microseconds until `end`: at least one, or -1 with ETIME. Unused without a deadline. */
static inline long long leftUntil(long long end)
{
    long long left = end - present();
    if (deadline.seconds == 0 || left > 0)
        return left;
    errno = ETIME;
    return -1;
}

/*
 * Those of `events` for which the socket is ready; 0 after `limit` microseconds (-1: no limit) or
 * after a signal; -1 for an error.
 */
static inline int waitFor(int sock, short events, long long limit)
{
    struct pollfd fds = {.fd = sock, .events = events};
    long long milliseconds = limit < 0 ? -1 : (limit + 999) / 1000;
    int n = called("poll() failed", poll(&fds, 1, milliseconds > INT_MAX ? INT_MAX : milliseconds));
    return n < 0 && errno != EINTR ? -1 : fds.revents;
}

/*
 * connect() to the first of the `addresses` still to be tried. An address that does not answer uses
 * up its share of the time only. After a second a line says which address it waits for. Returns as
 * connect() does.
 */
static inline int connectInTime(int sock, const struct sockaddr *server, socklen_t serverLen,
                                unsigned addresses)
{
    long long start = present(), end = start + (deadline.end - start) / addresses;
    long long left = leftUntil(end);
    if (deadline.seconds > 0 && left < 0)
        return -1;
    struct timeval limit = timeOf(deadline.seconds > 0 && left < QUIET ? left : QUIET);
    if (called("setsockopt() failed",
               setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit))) < 0)
        return -1;
    do {
        if (called("connect() failed", connect(sock, server, serverLen)) == 0 || errno == EISCONN)
            return 0;
    } while (errno == EINTR); /* SIGSTOP and SIGCONT; connecting goes on */
    if (errno != EINPROGRESS && errno != EALREADY)
        return -1;
    for (int said = 0, ready = 0; ready == 0;) {
        left = leftUntil(end);
        if (deadline.seconds > 0 && left < 0)
            return -1;
        long long quiet = start + QUIET - present();
        if (quiet <= 0 && !said++)
            note("waiting for %s", addressText(server));
        long long most = deadline.seconds > 0 ? left : -1;
        if (!said && (most < 0 || quiet < most))
            most = quiet;
        ready = waitFor(sock, POLLOUT, most);
        if (ready < 0)
            return -1;
    }
    int why;
    socklen_t whyLen = sizeof(why);
    if (called("getsockopt() failed", getsockopt(sock, SOL_SOCKET, SO_ERROR, &why, &whyLen)) < 0)
        return -1;
    called("connect() failed", 0);
    errno = why;
    return why == 0 ? 0 : -1;
}

/*
 * Sends from bytes[*sent] on until all is sent or an answer has begun to arrive. The answer to a
 * message that is longer than all buffers begins while we still send: if we only sent, both sides
 * would wait for each other without end. Returns 0, or -1.
 */
static inline int sendUntilAnswered(int sock, const char *bytes, size_t len, size_t *sent)
{
    int flags = len > LARGE || deadline.seconds > 0 ? MSG_DONTWAIT : 0;
    while (*sent < len) {
        ssize_t n = within(send(sock, bytes + *sent, len - *sent, flags), len - *sent);
        called("send() failed", 0);
        if (n > 0) {
            *sent += n;
            continue;
        }
        if (n == 0)
            errno = EIO; /* a correct kernel never returns this */
        if (errno == EINTR)
            continue; /* after SIGSTOP and SIGCONT, with a time-out set */
        if (errno != EAGAIN)
            return -1;
        long long left = leftUntil(deadline.end);
        if (deadline.seconds > 0 && left < 0)
            return -1;
        int ready = waitFor(sock, POLLIN | POLLOUT, deadline.seconds > 0 ? left : -1);
        if (ready < 0)
            return -1;
        if (ready & POLLIN)
            break;
    }
    return 0;
}

/* recv() that ends at the deadline. Returns as it does. */
static inline ssize_t recvInTime(int sock, char *buffer, size_t size)
{
    for (;;) {
        if (deadline.seconds > 0) {
            long long left = leftUntil(deadline.end);
            if (left < 0)
                return -1;
            struct timeval limit = timeOf(left);
            if (called("setsockopt() failed",
                       setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) < 0)
                return -1;
        }
        ssize_t n = within(recv(sock, buffer, size, 0), size);
        called("recv() failed", 0);
        if (n >= 0)
            return n;
        if (errno == EAGAIN && deadline.seconds > 0)
            errno = ETIME;
        if (errno != EINTR) /* after SIGSTOP and SIGCONT, with a time-out set */
            return -1;
    }
}

static inline const char *noAnswer(unsigned long long seconds, int begun)
{
    static char text[64];
    snprintf(text, sizeof(text), "no %sanswer within %llu second%s", begun ? "whole " : "", seconds,
             seconds == 1 ? "" : "s");
    return text;
}

/*
 * The message for a failed call; for a time-out, with its length. `begun`: a part of the answer has
 * come.
 */
static inline const char *reason(int begun)
{
    static char text[256];
    if (errno == ETIME)
        return noAnswer(deadline.seconds, begun);
    snprintf(text, sizeof(text), "%s: %s", deadline.failed, strerror(errno));
    return text;
}

#endif
