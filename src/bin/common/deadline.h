/*
 * common/deadline.h - an end to waiting: the Web client's --timeout. The Rust program has the same in web/deadline.rs.
 */
#ifndef COMMON_DEADLINE_H
#define COMMON_DEADLINE_H

#include <time.h>

/* A moment after which no call waits. */
static struct {
    int set; /* 0: there is none */
    struct timespec time;
} deadline;

static inline void setDeadline(unsigned seconds)
{
    deadline.set = seconds > 0;
    clock_gettime(CLOCK_MONOTONIC, &deadline.time);
    deadline.time.tv_sec += seconds;
}

/* From now on no call on the socket waits longer. Returns 0, or -1: it is too late already. */
static inline int limit(int sock)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long left = (deadline.time.tv_sec - now.tv_sec) * 1000000LL + (deadline.time.tv_nsec - now.tv_nsec) / 1000;
    struct timeval value = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    if (!deadline.set)
        return 0;
    if (left <= 0) { /* a time-out of 0 would be none */
        errno = ETIMEDOUT;
        return -1;
    }
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)) < 0 ||
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value)) < 0)
        DieWithError("setsockopt() failed");
    return 0;
}

/* connect() that ends at the deadline. Returns as it does. */
static inline int connectInTime(int sock, const struct addrinfo *server)
{
    for (;;) {
        if (limit(sock) == 0 && connect(sock, server->ai_addr, server->ai_addrlen) == 0)
            return 0;
        if (errno == EINPROGRESS)
            errno = ETIMEDOUT;
        if (errno != EINTR) /* stopped and continued, with a time-out set: it goes on */
            return -1;
    }
}

/* recv() that ends at the deadline. Returns as it does. */
static inline ssize_t recvInTime(int sock, char *buffer, size_t size)
{
    for (;;) {
        ssize_t n = -1;
        if (limit(sock) == 0)
            n = recv(sock, buffer, size, 0);
        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            errno = ETIMEDOUT;
        if (errno != EINTR) /* stopped and continued, with a time-out set */
            return -1;
    }
}

#endif
