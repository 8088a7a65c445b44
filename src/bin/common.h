/*
 * common.h - what the C twins share, so that each shows little but its steps. The Rust programs have the same in common/.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <wctype.h>

#define VERSION "0.1.0"
#define DATAGRAM 65507 /* bytes that a UDP datagram over IPv4 can carry */

/* ---- Words to the person in front of it ---- */

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
    if (write(STDERR_FILENO, line, len + 1) < 0)
        return; /* nobody is left to tell */
}

/* Ends the program with a message and no more. */
static inline void die(const char *message)
{
    note("%s", message);
    exit(1);
}

/* Ends the program over a failed call: the message, and why. */
static inline void DieWithError(const char *message)
{
    note("%s: %s", message, strerror(errno));
    exit(1);
}

/* What went wrong with one client: `failed` says which call, NULL that all is well. The server goes on. */
static inline void report(const struct sockaddr_in *client, const char *failed)
{
    if (failed != NULL)
        note("%s:%d: %s: %s", inet_ntoa(client->sin_addr), ntohs(client->sin_port), failed, strerror(errno));
}

/* Whole lines on standard output, in one piece. A reader that has gone has seen enough: that ends the program, quietly. */
static inline void print(const char *lines, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, lines, len);
        if (n < 0 && errno == EPIPE)
            exit(0);
        if (n < 0)
            DieWithError("write() failed");
        lines += n;
        len -= n;
    }
}

/* print() with a format, for short lines. */
__attribute__((format(printf, 1, 2)))
static inline void printLine(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    print(line, len);
}

/* ---- Start and arguments ---- */

/* What Rust's runtime does before main: descriptors 0 to 2 are open, and a broken connection is an error, not a death. */
static inline void start(char **argv)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            abort();
    signal(SIGPIPE, SIG_IGN);
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, "-ip") == 0) /* the lectures write it so: one dash and two letters */
            *argv = "--ipaddress";
}

/* Ends the program over its arguments: 'h' and 'V' as asked, anything else with a usage line and status 2. */
static inline void usage(int option, const char *program, const char *arguments)
{
    if (option == 'V')
        printLine("%s " VERSION "\n", program);
    else if (option == 'h')
        printLine("usage: %s %s\n", program, arguments);
    else
        note("usage: %s %s", program, arguments);
    exit(option == 'V' || option == 'h' ? 0 : 2);
}

/* A whole number from min to max in plain digits; anything else is a bad argument. */
static inline unsigned long number(const char *text, unsigned long min, unsigned long max)
{
    const char *digits = text + (*text == '+');
    errno = 0;
    unsigned long value = strtoul(digits, NULL, 10);
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0' || errno != 0 || value < min || value > max) {
        note("%s: not a number from %lu to %lu", text, min, max);
        exit(2);
    }
    return value;
}

/* An IPv4 address in the dotted form, which inet_addr() then reads; anything else is a bad argument. */
static inline const char *dotted(const char *text)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1) {
        note("%s: not an IPv4 address in dotted form, like 127.0.0.1", text);
        exit(2);
    }
    return text;
}

/* ---- Calls that need more than one try ---- */

/* Sends all of them: the kernel may take them in parts. Returns NULL, or what failed. */
static inline const char *sendAll(int sock, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(sock, bytes, len, 0);
        if (n == 0)
            errno = EIO; /* not from a sound kernel, and no way on */
        if (n <= 0)
            return "send() failed";
        bytes += n;
        len -= n;
    }
    return NULL;
}

/* After accept() or recvfrom() failed: returns if a server can go on, and ends it otherwise. */
static inline void goOnAfter(const char *failed)
{
    static int said = 0;
    switch (errno) {
    case EINTR: /* a signal came, or that one client is lost (accept(2) lists them) */
    case ECONNABORTED:
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
    case EAGAIN:
        return;
    case EMFILE: /* nothing is left to serve it with: without a pause this would spin */
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        if (!said++)
            note("%s: %s", failed, strerror(errno));
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        return;
    default:
        DieWithError(failed);
    }
}

/*
 * Receives the next datagram from `server`; what comes from elsewhere is no answer. Returns its length, or -1: with EAGAIN
 * after `timeout` seconds in all, where 0 waits for ever.
 */
static inline ssize_t answerFrom(const struct sockaddr_in *server, int sock, char *buffer, size_t size, unsigned timeout)
{
    struct timespec start, now;
    struct timeval left = {.tv_sec = timeout};
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct sockaddr_in from;
        socklen_t fromLen = sizeof(from);
        if (timeout > 0 && setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left)) < 0)
            DieWithError("setsockopt() failed");
        ssize_t n = recvfrom(sock, buffer, size, 0, (struct sockaddr *)&from, &fromLen);
        if (n >= 0 && from.sin_addr.s_addr == server->sin_addr.s_addr && from.sin_port == server->sin_port)
            return n;
        if (n >= 0)
            note("ignored a datagram from %s:%d", inet_ntoa(from.sin_addr), ntohs(from.sin_port));
        else if (errno != EINTR) /* stopped and continued, with a time-out set */
            return -1;
        clock_gettime(CLOCK_MONOTONIC, &now);
        long long gone = (now.tv_sec - start.tv_sec) * 1000000LL + (now.tv_nsec - start.tv_nsec) / 1000;
        left.tv_sec = (timeout * 1000000LL - gone) / 1000000;
        left.tv_usec = (timeout * 1000000LL - gone) % 1000000;
        if (timeout > 0 && gone >= timeout * 1000000LL) {
            errno = EAGAIN;
            return -1;
        }
    }
}

/* Seed 000's greeting: where clients on other machines find this server. */
static inline void announce(const struct sockaddr_in *servAddr)
{
    struct sockaddr_in own, farAway = {.sin_family = AF_INET, .sin_port = htons(80)};
    socklen_t ownLen = sizeof(own);
    const char *failed = NULL;
    char address[128];
    /* Connecting a UDP socket sends nothing; it only picks the way. */
    int sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP);
    farAway.sin_addr.s_addr = inet_addr("8.8.8.8");
    if (sock < 0)
        failed = "socket() failed";
    else if (connect(sock, (struct sockaddr *)&farAway, sizeof(farAway)) < 0)
        failed = "connect() failed";
    else if (getsockname(sock, (struct sockaddr *)&own, &ownLen) < 0)
        failed = "getsockname() failed";
    if (failed)
        snprintf(address, sizeof(address), "unknown (%s: %s)", failed, strerror(errno));
    else
        snprintf(address, sizeof(address), "%s", inet_ntoa(own.sin_addr));
    if (sock >= 0)
        close(sock);
    printLine("serverIP:\t%s\nserverPort:\t%d\nPress Ctrl+C to quit. Listening...\n", address,
              ntohs(servAddr->sin_port));
}

/* ---- Bytes from the network as text ---- */

/* Reads one character of UTF-8. Returns its length; 0 if that is none, -1 if it may still become one. */
static inline int utf8(const unsigned char *s, size_t len, unsigned *character)
{
    int more = s[0] < 0x80 ? 0 : s[0] < 0xc2 ? -1 : s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : s[0] < 0xf5 ? 3 : -1;
    unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80; /* no overlong forms, */
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf; /* no surrogates, nothing above U+10FFFF */
    if (more < 0)
        return 0;
    *character = more == 0 ? s[0] : s[0] & (0x3f >> more);
    for (int i = 1; i <= more; i++, low = 0x80, high = 0xbf) {
        if ((size_t)i == len)
            return -1;
        if (s[i] < low || s[i] > high)
            return 0;
        *character = *character << 6 | (s[i] & 0x3f);
    }
    return more + 1;
}

/* Control characters, and those of Unicode that are invisible or turn the direction of the text around them. */
static inline int actsOnATerminal(unsigned c)
{
    return c <= 0x1f || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/*
 * Writes bytes so that a terminal shows what they are and does nothing else: printable text as it is, the rest as \n, \x1b,
 * and a backslash as \\. `out` has room for four times as many. Returns its end.
 */
static inline char *escape(const char *bytes, size_t len, char *out)
{
    const unsigned char *s = (const unsigned char *)bytes, *end = s + len;
    while (s < end) {
        unsigned c;
        int n = utf8(s, end - s, &c);
        if (*s == '\\' || *s == '\n' || *s == '\r' || *s == '\t') {
            *out++ = '\\';
            *out++ = *s == '\\' ? '\\' : *s == '\n' ? 'n' : *s == '\r' ? 'r' : 't';
        } else if (n > 0 && !actsOnATerminal(c)) {
            memcpy(out, s, n);
            out += n;
        } else {
            for (int i = 0; i < (n > 0 ? n : 1); i++)
                out += sprintf(out, "\\x%02x", s[i]);
        }
        s += n > 0 ? n : 1;
    }
    return out;
}

/* A caption and what came from the network, as one line: the bytes themselves, or escaped where they reach a terminal. */
static inline void show(const char *caption, const char *bytes, size_t len)
{
    char *line = malloc(strlen(caption) + 4 * len + 1), *end;
    if (line == NULL)
        DieWithError("malloc() failed");
    end = stpcpy(line, caption);
    end = isatty(STDOUT_FILENO) ? escape(bytes, len, end) : (char *)memcpy(end, bytes, len) + len;
    *end++ = '\n';
    print(line, end - line);
    free(line);
}
