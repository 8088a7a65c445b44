/*
 * common.h - what the C twins share, so that each program shows its steps and little else. The Rust
 * programs have the same in mod.rs.
 */
#ifndef COMMON_H
#define COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define VERSION "0.1.0"
#define DATAGRAM 65507      /* bytes that a UDP datagram over IPv4 can carry at most */
#define DATAGRAM_IPV6 65527 /* and over IPv6, whose length does not count its header */
#define PAUSE 100           /* milliseconds until a server without descriptors or memory retries */

/*
 * Checks the return value of recv(), send() and similar calls: an impossible length becomes the
 * error EOVERFLOW, as in Rust.
 */
static inline ssize_t within(ssize_t n, size_t room)
{
    if (n < 0 || (size_t)n <= room)
        return n;
    errno = EOVERFLOW; /* a correct kernel never returns this */
    return -1;
}

/*
 * Whether the kernel has filled in a whole IPv4 address, or left the address empty. Otherwise sets
 * EAFNOSUPPORT, as in Rust.
 */
static inline int isWhole(const struct sockaddr_in *addr, socklen_t addrLen)
{
    if (addrLen == 0 || (addrLen == sizeof(*addr) && addr->sin_family == AF_INET))
        return 1;
    errno = EAFNOSUPPORT; /* a correct kernel never returns this */
    return 0;
}

/* Checks what accept() returned, in the same way. */
static inline int acceptedFrom(int sock, const struct sockaddr_in *addr, const socklen_t *addrLen)
{
    if (sock < 0 || isWhole(addr, *addrLen))
        return sock;
    close(sock);
    errno = EAFNOSUPPORT; /* whatever close() says */
    return -1;
}

/* Checks what recvfrom() returned, in the same way. */
static inline ssize_t receivedFrom(ssize_t n, size_t room, const struct sockaddr_in *addr,
                                   const socklen_t *addrLen)
{
    n = within(n, room);
    return n < 0 || isWhole(addr, *addrLen) ? n : -1;
}

/* ---- Output for the user ---- */

/*
 * Writes all bytes, and waits for room if the descriptor is non-blocking and full. Returns 0, or
 * -1.
 */
static inline int writeAll(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        struct pollfd full = {.fd = fd, .events = POLLOUT};
        ssize_t n = within(write(fd, bytes, len), len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            poll(&full, 1, -1); /* the next write() reports an error */
            continue;
        }
        if (n == 0)
            errno = EIO; /* a correct kernel never returns this */
        if (n <= 0)
            return -1;
        bytes += n;
        len -= n;
    }
    return 0;
}

/* One line on standard error, in one piece. */
__attribute__((format(printf, 1, 2)))
static inline void note(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (len > (int)sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len] = '\n';
    if (writeAll(STDERR_FILENO, line, len + 1) < 0)
        return; /* there is nowhere left to report it */
}

/* Ends the program with a message. */
static inline _Noreturn void die(const char *message)
{
    note("%s", message);
    exit(1);
}

/* Ends the program over a failed call: the message, and why. */
static inline _Noreturn void DieWithError(const char *message)
{
    note("%s: %s", message, strerror(errno));
    exit(1);
}

/* realloc() that does not fail. */
static inline void *resize(void *memory, size_t size)
{
    memory = realloc(memory, size > 0 ? size : 1);
    if (memory == NULL)
        DieWithError("realloc() failed");
    return memory;
}

/*
 * Why getaddrinfo() or getnameinfo() failed. They return codes of their own; EAI_SYSTEM means that
 * errno has the reason.
 */
static inline const char *resolverError(int code)
{
    return code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
}

/* malloc() that does not fail. */
static inline void *allocate(size_t size)
{
    return resize(NULL, size);
}

/* An address and its port as text, [::1]:80 or 127.0.0.1:80. The next call overwrites it. */
__attribute__((noinline, unused)) /* inlined, gcc warns of a family that cannot occur */
static const char *addressText(const struct sockaddr *addr)
{
    static char text[80];
    char host[INET6_ADDRSTRLEN], scope[16] = "";
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
        snprintf(text, sizeof(text), "%s:%d", inet_ntoa(v4->sin_addr), ntohs(v4->sin_port));
        return text;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
    if (v6->sin6_scope_id != 0)
        snprintf(scope, sizeof(scope), "%%%u", v6->sin6_scope_id);
    snprintf(text, sizeof(text), "[%s%s]:%d", host, scope, ntohs(v6->sin6_port));
    return text;
}

/* Says what went wrong with one client, and why. The server goes on. */
static inline void WarnWithError(const struct sockaddr_in *client, const char *message)
{
    note("%s:%d: %s: %s", inet_ntoa(client->sin_addr), ntohs(client->sin_port), message,
         strerror(errno));
}

/*
 * Bytes on standard output, in one piece. If the reader has closed its end, the program ends
 * quietly.
 */
static inline void print(const char *bytes, size_t len)
{
    if (writeAll(STDOUT_FILENO, bytes, len) == 0)
        return;
    if (errno == EPIPE)
        exit(0);
    DieWithError("write() failed");
}

/* One line on standard output, in one piece. */
__attribute__((format(printf, 1, 2)))
static inline void printLine(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        DieWithError("vsnprintf() failed");
    char *line = allocate((size_t)len + 1);
    va_start(args, format);
    vsnprintf(line, (size_t)len + 1, format, args);
    va_end(args);
    line[len] = '\n'; /* in the place of the text's end */
    print(line, (size_t)len + 1);
    free(line);
}

/* The book's prompt, without a newline: the user types the sentence after it. */
static inline void prompt(void)
{
    static const char text[] = "Input lowercase sentence: ";
    print(text, sizeof(text) - 1);
}

/* ---- Start, and reading the arguments ---- */

/*
 * Does what Rust's runtime does before main: opens descriptors 0 to 2 if they are closed, and
 * ignores SIGPIPE.
 */
static inline void start(char **argv)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            abort();
    signal(SIGPIPE, SIG_IGN);
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
        if (strcmp(*argv, "-ip") == 0) /* the lectures write it so: one dash and two letters */
            *argv = "--ipaddress";
}

/* Ends the program after -h or -V, or after a bad argument with a usage line and status 2. */
static inline _Noreturn void usage(int option, const char *path, const char *arguments)
{
    const char *slash = strrchr(path, '/'), *program = slash ? slash + 1 : path;
    if (option == 'V')
        printLine("%s " VERSION, program);
    else if (option == 'h')
        printLine("usage: %s %s", program, arguments);
    else
        note("usage: %s %s", program, arguments);
    exit(option == 'V' || option == 'h' ? 0 : 2);
}

/* A whole number from min to max in plain digits; anything else is a bad argument. */
static inline unsigned long long number(const char *text, unsigned long long min,
                                        unsigned long long max)
{
    const char *digits = *text == '+' ? text + 1 : text;
    errno = 0;
    unsigned long long value = strtoull(digits, NULL, 10);
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0' || errno != 0 ||
        value < min || value > max) {
        note("%s: not a number from %llu to %llu", text, min, max);
        exit(2);
    }
    return value;
}

/* An IPv4 address in dotted form, as inet_addr() reads it; anything else is a bad argument. */
static inline const char *dotted(const char *text)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1) {
        note("%s: not an IPv4 address in dotted form, like 127.0.0.1 "
             "(name_lookup finds those of a name)",
             text);
        exit(2);
    }
    return text;
}

/* A text for getaddrinfo(). Text that is not UTF-8 is a bad argument, as in Rust. */
static inline const char *name(const char *text)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + strlen(text);
    unsigned character;
    for (int n; s < end; s += n)
        if ((n = utf8(s, end - s, &character)) <= 0) {
            note("a name that is not UTF-8");
            exit(2);
        }
    return text;
}

/* ---- Names ---- */

/*
 * The addresses of a server, in the order in which to try them. A numeric address, like 127.0.0.1,
 * needs no system call.
 */
static inline struct addrinfo *addresses(const char *server, in_port_t port, int socktype)
{
    struct addrinfo hints, *res;
    char service[8];
    memset(&hints, 0, sizeof(hints));
    hints.ai_flags = AI_NUMERICSERV;
    hints.ai_socktype = socktype;
    snprintf(service, sizeof(service), "%d", port);
    int code = getaddrinfo(server, service, &hints, &res);
    if (code != 0) {
        note("getaddrinfo() failed: %s", resolverError(code));
        exit(1);
    }
    return res;
}

/* ---- Standard input ---- */

/*
 * Bytes that have been read and not yet taken. (C's own stdin does not check the length that read()
 * returns.)
 */
static struct {
    char bytes[8192];
    size_t taken, len;
} input;

/*
 * Whether standard input has ended. Waits for the next byte if necessary. A terminal can be read
 * again after its end of file.
 */
static inline int inputEnded(void)
{
    if (input.taken < input.len)
        return 0;
    ssize_t n;
    while ((n = within(read(STDIN_FILENO, input.bytes, sizeof(input.bytes)),
                       sizeof(input.bytes))) < 0)
        if (errno != EINTR)
            DieWithError("read() failed");
    input.taken = 0;
    input.len = n;
    return n == 0;
}

/*
 * Reads the next line of standard input into *line, which grows as with getline(3) and has room for
 * one more byte. Returns its length without the newline, or -1 at the end.
 */
static inline ssize_t readLine(char **line, size_t *size)
{
    size_t len = 0;
    if (inputEnded())
        return -1;
    while (!inputEnded()) {
        const char *rest = input.bytes + input.taken, *end;
        end = memchr(rest, '\n', input.len - input.taken);
        size_t more = end != NULL ? (size_t)(end - rest) : input.len - input.taken;
        if (*size < len + more + 1) {
            *size = 2 * (len + more + 1);
            *line = resize(*line, *size);
        }
        memcpy(*line + len, rest, more);
        len += more;
        input.taken += more + (end != NULL);
        if (end != NULL)
            break;
    }
    return len;
}

/* ---- Calls that need more than one try ---- */

/* Sends all bytes: the kernel may take them in parts. Returns 0, or -1 if send() failed. */
static inline int sendAll(int sock, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = within(send(sock, bytes, len, 0), len);
        if (n < 0 && errno == EINTR)
            continue; /* after SIGSTOP and SIGCONT, with a time-out set */
        if (n == 0)
            errno = EIO; /* a correct kernel never returns this */
        if (n <= 0)
            return -1;
        bytes += n;
        len -= n;
    }
    return 0;
}

/* A duration as a timeval. Where seconds have 32 bits, a longer duration is cut to the maximum. */
static inline struct timeval timeOf(long long microseconds)
{
    struct timeval span = {.tv_sec = microseconds / 1000000, .tv_usec = microseconds % 1000000};
    if (span.tv_sec != microseconds / 1000000)
        span.tv_sec = INT_MAX;
    return span;
}

/*
 * Makes recv() and send() fail with EAGAIN after `seconds` without a byte; 0 means no limit.
 * Returns 0, or -1.
 */
static inline int setTimeouts(int sock, unsigned seconds)
{
    struct timeval limit = timeOf(seconds * 1000000LL);
    if (seconds == 0)
        return 0;
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        return -1;
    return setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* Whether this failure is at least the eleventh within a second. */
static inline int isFrequent(void)
{
    static long long since = 0; /* milliseconds */
    static unsigned count = 0;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    long long now = time.tv_sec * 1000LL + time.tv_nsec / 1000000;
    if (now - since >= 1000) {
        since = now;
        count = 0;
    }
    return ++count > 10;
}

/*
 * To be called after accept() or recvfrom() failed, in a server that must not sleep: returns
 * whether to wait for PAUSE milliseconds before the next try. An error that would occur again
 * without end ends the server.
 */
static inline int needsPause(const char *failed)
{
    static int said = 0;
    int pause = 1;
    switch (errno) {
    case EBADF: /* not a usable socket, or (EOVERFLOW) the kernel returned an impossible length */
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
    case EOVERFLOW:
        DieWithError(failed);
    case EINTR: /* a signal came, or no client waits after all: no pause, unless this is frequent */
    case EAGAIN:
    case ECONNABORTED: /* one client is lost (accept(2) lists these errors) */
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ECONNREFUSED:
        pause = isFrequent();
        break;
    default:
        break; /* EMFILE, ENFILE, ENOBUFS, ENOMEM: no descriptor or memory for a client */
    }
    if (pause && !said++)
        note("%s: %s", failed, strerror(errno));
    return pause;
}

/*
 * The same for a server that may sleep: returns, at once or after PAUSE milliseconds, if it can try
 * again.
 */
static inline void recoverFrom(const char *failed)
{
    struct timespec pause = {.tv_nsec = PAUSE * 1000 * 1000};
    if (needsPause(failed))
        nanosleep(&pause, NULL);
}

/*
 * Whether a datagram may be answered. Its source address can be forged: if it names another server
 * that answers every datagram, the two servers answer each other without end (CVE-1999-0103). So a
 * datagram from a port below 1024, or from our own port number, is not answered. Neither is one
 * from an address that no host has (0.x.x.x, multicast, broadcast).
 */
static inline int mayAnswer(const struct sockaddr_in *sender, const struct sockaddr_in *server)
{
    static int said = 0;
    int port = ntohs(sender->sin_port), network = ntohl(sender->sin_addr.s_addr) >> 24;
    int may = port >= 1024 && sender->sin_port != server->sin_port && network >= 1 &&
              network <= 223;
    if (!may && !said++)
        note("%s:%d: not answered: it may be a server too", inet_ntoa(sender->sin_addr), port);
    return may;
}

/*
 * Whether two addresses name the same socket. A scope that only one of them gives is not compared.
 */
__attribute__((noinline, unused)) /* for the reason given at addressText() */
static int areSame(const void *one, const void *other)
{
    const struct sockaddr_in *v4 = one, *other4 = other;
    const struct sockaddr_in6 *v6 = one, *other6 = other;
    /* Both families have them here. */
    if (v4->sin_family != other4->sin_family || v4->sin_port != other4->sin_port)
        return 0;
    if (v4->sin_family == AF_INET)
        return v4->sin_addr.s_addr == other4->sin_addr.s_addr;
    return memcmp(&v6->sin6_addr, &other6->sin6_addr, sizeof(v6->sin6_addr)) == 0 &&
           (v6->sin6_scope_id == other6->sin6_scope_id || v6->sin6_scope_id == 0 ||
            other6->sin6_scope_id == 0);
}

static inline _Noreturn void dieAlone(const struct sockaddr *server)
{
    note("the socket is connected to itself: no server is at %s", addressText(server));
    exit(1);
}

/* Whether this is an address of this machine with a port in use: then our own socket uses it. */
static inline int isOurs(const struct sockaddr *addr, socklen_t addrLen)
{
    int sock = socket(addr->sa_family, SOCK_DGRAM, IPPROTO_UDP);
    int taken = sock >= 0 && bind(sock, addr, addrLen) < 0 && errno == EADDRINUSE;
    if (sock >= 0)
        close(sock);
    return taken;
}

/*
 * Ends the program if `heard` is the address of its own socket. If no server has the port, the
 * kernel may give that port to the client.
 */
static inline void dieIfAlone(int sock, const struct sockaddr *heard, const struct sockaddr *server,
                              socklen_t serverLen)
{
    struct sockaddr_storage own;
    socklen_t ownLen = sizeof(own);
    if (getsockname(sock, (struct sockaddr *)&own, &ownLen) < 0)
        DieWithError("getsockname() failed");
    if (((struct sockaddr_in *)&own)->sin_port == ((const struct sockaddr_in *)heard)->sin_port &&
        (areSame(&own, heard) || isOurs(heard, serverLen)))
        dieAlone(server);
}

/*
 * A hint for the case that the server was asked at one of its addresses and answers from another.
 */
static inline const char *advice(const void *from, const void *server)
{
    static char text[96];
    const struct sockaddr_in *one = from, *other = server;
    if (one->sin_family != AF_INET || other->sin_family != AF_INET ||
        one->sin_port != other->sin_port)
        return "";
    snprintf(text, sizeof(text), ". Ask %s, or start the server with --bind or --from-asked",
             inet_ntoa(one->sin_addr));
    return text;
}

/*
 * Receives the next datagram from `server` and ignores datagrams from other addresses. Returns its
 * length, or -1: with EAGAIN after `timeout` seconds in all; 0 means no limit.
 */
static inline ssize_t answerFrom(const void *server, socklen_t serverLen, int sock, char *buffer,
                                 size_t size, unsigned timeout)
{
    struct timespec start, now;
    long long left = timeout * 1000000LL; /* microseconds */
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct sockaddr_storage from;
        socklen_t fromLen = serverLen; /* the size of an address of the server's family */
        struct timeval limit = timeOf(left);
        if (timeout > 0 && setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
            DieWithError("setsockopt() failed");
        memset(&from, 0, sizeof(from));
        ssize_t n = within(recvfrom(sock, buffer, size, 0, (struct sockaddr *)&from, &fromLen),
                           size);
        if (n >= 0 &&
            (fromLen != serverLen ||
             from.ss_family != ((const struct sockaddr *)server)->sa_family)) {
            errno = EAFNOSUPPORT; /* a correct kernel never returns this */
            return -1;
        }
        if (n >= 0 && areSame(&from, server))
            return n;
        if (n < 0 && errno != EINTR) /* after SIGSTOP and SIGCONT, with a time-out set */
            return -1;
        if (n >= 0) {
            char other[80];
            if (*advice(&from, server) != '\0')
                dieIfAlone(sock, (struct sockaddr *)&from, server, serverLen);
            snprintf(other, sizeof(other), "%s", addressText((struct sockaddr *)&from));
            note("ignored a datagram from %s: %s was asked%s", other, addressText(server),
                 advice(&from, server));
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        left = timeout * 1000000LL - (now.tv_sec - start.tv_sec) * 1000000LL -
               (now.tv_nsec - start.tv_nsec) / 1000;
        if (timeout > 0 && left <= 0) {
            errno = EAGAIN;
            return -1;
        }
    }
}

static inline void unknown(char *address, size_t size, const char *message)
{
    snprintf(address, size, "unknown (%s: %s)", message, strerror(errno));
}

/*
 * The greeting of the book's interactive variant: the address that clients on other machines use.
 */
static inline void announce(const struct sockaddr_in *servAddr)
{
    struct sockaddr_in own, farAway;
    socklen_t ownLen = sizeof(own);
    char address[128];
    memset(&farAway, 0, sizeof(farAway));
    farAway.sin_family = AF_INET;
    farAway.sin_addr.s_addr = inet_addr("8.8.8.8");
    farAway.sin_port = htons(80);

    /*
     * Connecting a UDP socket sends nothing; the kernel only chooses a route, and with it the
     * source address.
     */
    int sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP);
    if (sock < 0)
        unknown(address, sizeof(address), "socket() failed");
    else if (connect(sock, (struct sockaddr *)&farAway, sizeof(farAway)) < 0)
        unknown(address, sizeof(address), "connect() failed");
    else if (getsockname(sock, (struct sockaddr *)&own, &ownLen) < 0)
        unknown(address, sizeof(address), "getsockname() failed");
    else
        snprintf(address, sizeof(address), "%s", inet_ntoa(own.sin_addr));
    if (sock >= 0)
        close(sock);
    printLine("serverIP:\t%s\nserverPort:\t%d\nPress Ctrl+C to quit. Listening...", address,
              ntohs(servAddr->sin_port));
}

/* ---- Text from the network ---- */

/* Prints a caption and bytes from the network as one line. On a terminal the bytes are escaped. */
static inline void show(const char *caption, const char *bytes, size_t len)
{
    char *line = allocate(strlen(caption) + 4 * len + 1);
    char *end = stpcpy(line, caption);
    end = isatty(STDOUT_FILENO) ? escape(bytes, len, end) : (char *)memcpy(end, bytes, len) + len;
    *end++ = '\n';
    print(line, end - line);
    free(line);
}

/* As the book's interactive variant does: "Received from 192.168.67.1#56855: udp is lazy". */
static inline void logRequest(const struct sockaddr_in *client, const char *request, size_t len)
{
    static char line[64 + 4 * DATAGRAM];
    char *end = line + sprintf(line, "Received from %s#%d: ", inet_ntoa(client->sin_addr),
                               ntohs(client->sin_port));
    if (len > 0 && request[len - 1] == '\n')
        len--;
    end = escape(request, len, end);
    *end++ = '\n';
    print(line, end - line);
}

/*
 * For --unicode: in this locale towupper() and wctomb() use Unicode. Error messages stay in
 * English.
 */
static inline void speakUnicode(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        die("setlocale() failed: the locale C.UTF-8 is missing");
}

#endif
