/*
 * web_client - asks a Web server for a page, and shows its response.
 *
 * Usage: web_client [OPTIONS] URL
 * Follows: the Princeton deck, "In Fact, Try This at a UNIX Prompt...", the telnet session, in the steps of "Example - Echo using
 * stream socket", the client's column.
 * Rust twin: web_client.rs, which can follow redirects too (--location). What it has to understand is in web/url.h and
 * web/response.h. Its server: web_server.c.
 */
#include "common/common.h"
#include "web/response.h"
#include "web/url.h"

#define RCVBUFSIZE 65536 /* bytes asked of each recv */
#define REFUSED 22       /* the status of --fail, as curl has it */

#define ARGUMENTS \
    "[-i | --include] [-I | --head] [-o FILE | --output FILE] [-f | --fail] [-H LINE | --header LINE] " \
    "[-m SECONDS | --timeout SECONDS] URL (--location is the Rust program's alone)"
static struct url url;
static int include = 0, head = 0, failing = 0;
static const char *output = NULL; /* to standard output */
static char **headers;            /* those that are asked for */
static int headersLen = 0;
static unsigned timeout = 0; /* wait for ever */

/* A header, as in "Accept: text/html"; anything else is a bad argument. */
static char *header(char *line)
{
    const char *end = line, *c = line;
    while (isOfAName(*end))
        end++;
    while (*c != '\0' && (*c == '\t' || !iscntrl((unsigned char)*c)))
        c++;
    if (end == line || *end != ':' || *c != '\0') {
        note("not a header like 'Accept: text/html'");
        exit(2);
    }
    return line;
}

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"include", no_argument, NULL, 'i'},     {"head", no_argument, NULL, 'I'},
        {"output", required_argument, NULL, 'o'}, {"fail", no_argument, NULL, 'f'},
        {"header", required_argument, NULL, 'H'}, {"timeout", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'V'},
        {0},
    };
    headers = allocate(argc * sizeof(*headers));
    for (int c; (c = getopt_long(argc, argv, "iIo:fH:m:hV", options, NULL)) != -1;)
        switch (c) {
        case 'i': include = 1; break;
        case 'I': head = 1; break;
        case 'o': output = strcmp(optarg, "-") != 0 ? optarg : NULL; break;
        case 'f': failing = 1; break;
        case 'H': headers[headersLen++] = header(optarg); break;
        case 'm': timeout = number(optarg, 1, UINT_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind != 1)
        usage('?', argv[0], ARGUMENTS);
    const char *wrong = parseUrl(argv[optind], &url);
    if (wrong != NULL) {
        note("the URL: %s", wrong);
        exit(2);
    }
}

static void endOver(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int establish(const struct addrinfo *server);
static size_t receive(int sock, char *buffer);
static char *request(const char *method, size_t *len);
static void showPage(const char *bytes, size_t len);
static void endPage(void);

static int file = -1;                /* --output's, when there is something to write: before that, an older one is not lost */
static int terminal = 0;             /* whether standard output is one */
static struct timespec deadline;     /* with --timeout */
static struct response response;     /* nothing of which has come yet */
static char buffer[RCVBUFSIZE];

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    terminal = output == NULL && isatty(STDOUT_FILENO);
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout;

    struct addrinfo *servers = addresses(url.host, url.port, SOCK_STREAM);
    int sock = -1;
    for (struct addrinfo *server = servers; sock < 0; server = server->ai_next) {
        /* 1. Create a TCP socket. */
        /* 2. Establish the connection, with the first of the server's addresses that takes it. */
        sock = establish(server);
        if (sock < 0 && server->ai_next == NULL)
            DieWithError(sock == -1 ? "socket() failed" : "connect() failed");
    }

    /* 3. Communicate: send the request, receive the response. */
    size_t len;
    char *text = request(head ? "HEAD" : "GET", &len);
    const char *failed = sendAll(sock, text, len);
    if (failed != NULL)
        DieWithError(failed);
    free(text);
    response.withoutBody = head;
    int shown = 0;
    while (response.state != DONE) {
        size_t received = receive(sock, buffer);
        if (received == 0 && !mayEnd(&response))
            endOver(1, "recv() failed: connection closed prematurely");
        size_t body = take(&response, buffer, received);

        if (response.hasHead && !shown) {
            shown = 1;
            if (include || head)
                showPage(response.head, response.headLen);
            if (failing && response.status >= 400)
                endOver(REFUSED, "the server answered %d", response.status);
        }
        showPage(buffer, body);
        if (response.state == BROKEN)
            endOver(1, "the response makes no sense: %s", response.problem);
        if (received == 0)
            break;
    }

    /* 4. Close the connection. */
    if (close(sock) < 0)
        endOver(1, "close() failed: %s", strerror(errno));
    freeaddrinfo(servers);
    endPage();
    return 0;
}

/* Ends the program before it is done: a line, and the exit status. */
static void endOver(int status, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    note(file >= 0 ? "%s; the file has what came before" : "%s", line);
    exit(status);
}

/* What the person at the telnet prompt types. "Connection: close" says that it is all. */
static char *request(const char *method, size_t *len)
{
    char *text, *host = authority(&url);
    const char *usual[][2] = {{"Host:", host}, {"Connection:", "close"}};
    FILE *out = open_memstream(&text, len);
    if (out == NULL)
        DieWithError("open_memstream() failed");
    fprintf(out, "%s %s HTTP/1.1\r\n", method, url.target);
    for (int i = 0; i < 2; i++) {
        int own = 0;
        for (int j = 0; j < headersLen; j++)
            own |= strncasecmp(headers[j], usual[i][0], strlen(usual[i][0])) == 0;
        if (!own)
            fprintf(out, "%s %s\r\n", usual[i][0], usual[i][1]);
    }
    for (int j = 0; j < headersLen; j++)
        fprintf(out, "%s\r\n", headers[j]);
    fprintf(out, "\r\n");
    if (fclose(out) != 0)
        DieWithError("fclose() failed");
    free(host);
    return text;
}

static int waitUntilDeadline(int sock);

/* Steps 1 and 2 with one address. Returns the socket, -1 if there is none, or -2 if it does not connect. */
static int establish(const struct addrinfo *server)
{
    int sock = socket(server->ai_family, server->ai_socktype, server->ai_protocol);
    if (sock < 0)
        return -1;
    while (waitUntilDeadline(sock) < 0 || connect(sock, server->ai_addr, server->ai_addrlen) < 0) {
        if (errno == EINTR) /* stopped and continued, with a time-out set: it goes on */
            continue;
        int why = errno == EINPROGRESS ? ETIMEDOUT : errno;
        close(sock);
        errno = why;
        return -2;
    }
    return sock;
}

/* A recv() that ends at the deadline. */
static size_t receive(int sock, char *buffer)
{
    ssize_t n;
    while (waitUntilDeadline(sock) < 0 || (n = recv(sock, buffer, RCVBUFSIZE, 0)) < 0)
        if (errno != EINTR) /* stopped and continued, with a time-out set */
            endOver(1, "recv() failed: %s", strerror(errno == EAGAIN ? ETIMEDOUT : errno));
    return n;
}

/* From now on no call on the socket waits longer than that. Returns 0, or -1 when it has passed. */
static int waitUntilDeadline(int sock)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long left = (deadline.tv_sec - now.tv_sec) * 1000000LL + (deadline.tv_nsec - now.tv_nsec) / 1000;
    struct timeval value = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    if (timeout == 0)
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

static void openFile(void);
static void showOnTerminal(const char *bytes, size_t len, int last);

/* Writes the next piece of the page. Whatever comes from the network does nothing to a terminal. */
static void showPage(const char *bytes, size_t len)
{
    if (terminal)
        showOnTerminal(bytes, len, 0);
    else if (output == NULL)
        print(bytes, len);
    else
        while (len > 0) {
            openFile();
            ssize_t n = write(file, bytes, len);
            if (n < 0)
                endOver(1, "write() failed: %s", strerror(errno));
            bytes += n;
            len -= n;
        }
}

/* Writes what is left. A page of no bytes is a file of no bytes. */
static void endPage(void)
{
    if (terminal)
        showOnTerminal("", 0, 1);
    if (output == NULL)
        return;
    openFile();
    if (close(file) < 0)
        endOver(1, "close() failed: %s", strerror(errno));
}

static void openFile(void)
{
    if (file < 0 && (file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
        DieWithError("open() failed");
}

static void showOnTerminal(const char *bytes, size_t len, int last)
{
    static char *held = NULL; /* with the beginning of a character from before */
    static size_t heldLen = 0;
    held = resize(held, heldLen + len + 1);
    memcpy(held + heldLen, bytes, len);
    heldLen += len;
    char *text = allocate(4 * heldLen + 1), *end = text;
    size_t done = escapePage(held, heldLen, last, &end);
    print(text, end - text);
    free(text);
    heldLen -= done;
    memmove(held, held + done, heldLen);
}
