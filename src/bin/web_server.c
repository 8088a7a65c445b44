/*
 * web_server - sends the files of a directory to whoever asks for them by HTTP, each client by a thread of its own.
 *
 * Usage: web_server [--root DIR] [OPTIONS] [PORT]
 * Follows: Princeton deck, "Web Server": the five steps of "Handling a client request" are the five functions in the middle.
 * Rust twin: web_server.rs, which also has --list. Read it beside tcp_echo_server_thread.c; what it has to understand of HTTP
 * is in web/request.h.
 */
#include "common/common.h"
#include "web/request.h"
#include <linux/openat2.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MAXPENDING 511     /* connections the kernel may queue before accept takes them */
#define CHUNK (128 * 1024) /* bytes of a file that a client has --request-timeout to take */
#define DRAIN 2            /* seconds for what a client still says after its last answer */
#define STACK (64 * 1024)  /* bytes of a thread's stack */

#define ARGUMENTS                                                                                    \
    "[--root DIR] [--bind ADDRESS] [--backlog N] [--limit N] [--max-clients N] [--request-timeout SECONDS] " \
    "[--user NAME:PASSWORD] [--quiet] [PORT]"
static in_port_t port = 8080;
static const char *rootName = ".";
static const char *bindAddress = NULL;   /* any */
static int backlog = MAXPENDING;
static unsigned limit = 1000;            /* connections at a time; more wait to be accepted */
static unsigned long maxClients = 0;     /* no end */
static unsigned requestTimeout = 10;     /* for a whole request, for silence between two, for each chunk of an answer */
static char *user = NULL;                /* the name alone, once the arguments are read */
static const char *credentials = NULL;   /* what a client must show, in base64 */
static int quiet = 0;

static int root; /* the directory: nothing outside it is ever opened */

/* A client, and memory that is used again for each of its requests. Times are in microseconds. */
struct connection {
    int sock;
    struct sockaddr_storage addr;
    char host[INET6_ADDRSTRLEN], client[INET6_ADDRSTRLEN + 24]; /* the address as text, without the port and with it */
    char buffer[LINE + 2];                                      /* a line and its end */
    size_t held, end;   /* where in the buffer that is which has not been looked at */
    long long patience; /* how long recv() waits, as SO_RCVTIMEO is set */
    struct request request;
    char name[LINE + sizeof("index.html")]; /* the name of the file, relative to the root */
    char answer[3 * LINE + 1024];           /* the answer without its file */
    size_t answerLen;
    char line[4 * LINE + 2048]; /* for the log */
};

/* What an answer is made of. */
struct resource {
    int fd; /* -1: there is none */
    off_t size;
    time_t modified;
};

static void arguments(int argc, char *argv[]);
static void allowDescriptors(void);
static int listening(void);
static void *serveClient(void *given);
static const char *serveRequests(struct connection *conn);
static int acceptConnection(int servSock, struct connection *conn);
static int readRequest(struct connection *conn, const char **failed);
static int translate(struct connection *conn);
static int authorise(struct connection *conn, struct resource *found);
static int respond(struct connection *conn, int status, struct resource *found, const char **failed);
static long long now(void);
static int nextLine(struct connection *conn, char **line, size_t *len);
static ssize_t receive(struct connection *conn, long long patience, const char **failed);
static const char *hangUp(struct connection *conn);
static int openBeneath(struct connection *conn, int flag, int *fd);
static int areShown(const char *value, size_t len);
static int conditional(const struct request *request, const struct resource *found, off_t *first, off_t *end);
static const char *reason(int status);
static void generate(struct connection *conn, int status, const struct resource *found, off_t first, off_t length);
static const char *sendInTime(const struct connection *conn, int flags);
static const char *sendFileInTime(const struct connection *conn, int fd, off_t first, off_t end, long long *sent);
static void logAnswer(struct connection *conn, int status, long long sent);
static void describe(struct connection *conn);
static void reportOn(const struct connection *conn, const char *failed);
static void count(int change);
static void waitUntilFewerThan(unsigned number);

int main(int argc, char *argv[])
{
    start(argv);
    arguments(argc, argv);
    tzset(); /* or the first date reads /etc/localtime */
    allowDescriptors();
    if ((root = open(rootName, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        DieWithError("open() failed");
    int servSock = listening();
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    for (unsigned long clients = 0; maxClients == 0 || clients < maxClients; clients++) {
        waitUntilFewerThan(limit);
        struct connection *conn = allocate(sizeof(*conn));
        while (acceptConnection(servSock, conn) < 0)
            goOnAfter("accept() failed");
        count(+1);
        pthread_t thread;
        if ((errno = pthread_create(&thread, &attr, serveClient, conn)) != 0) {
            count(-1);
            reportOn(conn, "pthread_create() failed"); /* this client's loss alone */
            close(conn->sock);
            free(conn);
        }
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    waitUntilFewerThan(1);
    return 0;
}

/* One connection: steps 2 to 5 for each request that comes through it. */
static void *serveClient(void *given)
{
    struct connection *conn = given;
    conn->held = conn->end = 0;
    conn->patience = requestTimeout * 1000000LL;
    reportOn(conn, serveRequests(conn));

    /* Close the connection. */
    reportOn(conn, close(conn->sock) < 0 ? "close() failed" : NULL);
    free(conn);
    count(-1);
    return NULL;
}

static const char *serveRequests(struct connection *conn)
{
    int on = 1, status;
    const char *failed;
    if ((failed = giveUpAfter(conn->sock, requestTimeout)) != NULL)
        return failed;
    if (setsockopt(conn->sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) /* a short answer waits for nothing */
        return "setsockopt() failed";
    while ((status = readRequest(conn, &failed)) != 0) {
        struct resource found = {.fd = -1};
        if (status == 200)
            status = translate(conn);
        if (status == 200)
            status = authorise(conn, &found);
        int goesOn = respond(conn, status, &found, &failed);
        if (failed != NULL)
            return failed;
        if (!goesOn) {
            int allIsRead = conn->request.whole && conn->held == conn->end;
            return allIsRead ? NULL : hangUp(conn);
        }
    }
    return failed;
}

/* ---- Handling a client request: the five steps ---- */

/* 1. Accept the connection. */
static int acceptConnection(int servSock, struct connection *conn)
{
    socklen_t addrLen = sizeof(conn->addr);
    if ((conn->sock = accept(servSock, (struct sockaddr *)&conn->addr, &addrLen)) >= 0)
        describe(conn);
    return conn->sock;
}

/* 2. Read and parse the request. Returns 200, why not, or 0: there is none any more, or something `failed`. */
static int readRequest(struct connection *conn, const char **failed)
{
    long long timeout = requestTimeout * 1000000LL, deadline = 0; /* from the first bytes on, for all of it */
    int heard = 0;
    clearRequest(&conn->request);
    for (;;) {
        char *line;
        size_t len;
        while (nextLine(conn, &line, &len)) {
            int status = takeLine(&conn->request, line, len);
            if (status != 0)
                return status;
        }
        if (conn->end - conn->held == sizeof(conn->buffer))
            return tooLong(&conn->request, conn->buffer);
        int begun = conn->held < conn->end || conn->request.lineLen > 0;
        long long time = now();
        if ((begun || heard) && deadline == 0)
            deadline = time + timeout;
        ssize_t n = receive(conn, deadline ? deadline - time : timeout, failed);
        heard |= n > 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR && (errno != ECONNRESET || begun))
            return 0;
        *failed = NULL;
        if (n == 0)
            return begun ? 400 : 0; /* the end, in the middle of a request or between two */
        if (n < 0 && errno == EAGAIN)
            return begun ? 408 : 0;
        if (n < 0 && errno == ECONNRESET)
            return 0; /* how some clients leave. EINTR: stopped and continued */
    }
}

/* 3. Translate the URL to a file name. Returns 200, or why not. */
static int translate(struct connection *conn)
{
    int status = fileName(conn->request.target, conn->request.targetLen, conn->name);
    return status == 0 ? 200 : status;
}

/* 4. Determine whether the request is authorised. If it is, the file is open. Returns 200, or why not. */
static int authorise(struct connection *conn, struct resource *found)
{
    if (credentials != NULL && !areShown(conn->request.credentials, conn->request.credentialsLen))
        return 401;
    if (isHidden(conn->name))
        return 403;
    char *end = strchr(conn->name, '\0');
    int isDirectory = end == conn->name || end[-1] == '/', fd;
    if (isDirectory)
        strcpy(end, "index.html");
    int status = openBeneath(conn, 0, &fd);
    if (status == 404 && isDirectory) {
        *end = '\0';
        if ((status = openBeneath(conn, O_DIRECTORY, &fd)) != 200)
            return status;
        close(fd);
        return 403; /* it is there, but what is in it is not told */
    }
    if (status != 200)
        return status;
    struct stat about;
    if (fstat(fd, &about) < 0) {
        reportOn(conn, "fstat() failed");
        close(fd);
        return 500;
    }
    if (S_ISREG(about.st_mode)) {
        time_t seconds = time(NULL);
        found->fd = fd;
        found->size = about.st_size;
        found->modified = about.st_mtime < seconds ? about.st_mtime : seconds; /* none is of the future */
        return 200;
    }
    close(fd);
    if (S_ISDIR(about.st_mode) && !isDirectory)
        return 301; /* its name ends with a slash: what its pages link to is relative to that */
    return 403;     /* a pipe, a device */
}

/* 5. Generate and transmit the response. Returns whether the client may go on asking, and what `failed`. */
static int respond(struct connection *conn, int status, struct resource *found, const char **failed)
{
    off_t first = 0, end = 0;
    long long sent = 0;
    char page[256] = "";
    if (status == 200)
        status = conditional(&conn->request, found, &first, &end);
    if (status != 200 && status != 206 && status != 304)
        sprintf(page, "<!DOCTYPE html>\n<title>%d %s</title>\n<h1>%d %s</h1>\n", status, reason(status), status,
                reason(status));
    generate(conn, status, found, first, *page ? (off_t)strlen(page) : end - first);
    if (conn->request.head)
        first = end = 0;
    else
        conn->answerLen = stpcpy(conn->answer + conn->answerLen, page) - conn->answer, sent = strlen(page);
    *failed = sendInTime(conn, first < end ? MSG_MORE : 0); /* what follows leaves together with it */
    if (found->fd >= 0) {
        int why = errno;
        if (*failed == NULL && (*failed = sendFileInTime(conn, found->fd, first, end, &sent)) != NULL)
            why = errno;
        reportOn(conn, close(found->fd) < 0 ? "close() failed" : NULL);
        errno = why;
    }
    int why = errno;
    if (!quiet)
        logAnswer(conn, status, sent);
    errno = why;
    return conn->request.keepAlive;
}

/* ---- Beyond the slide: reading ---- */

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

/* The next line in the buffer, if all of it is there. It ends with CR LF, or, as from a person, with LF. */
static int nextLine(struct connection *conn, char **line, size_t *len)
{
    *line = conn->buffer + conn->held;
    char *end = memchr(*line, '\n', conn->end - conn->held);
    if (end == NULL)
        return 0;
    conn->held = end + 1 - conn->buffer;
    *len = end - *line;
    if (*len > 0 && end[-1] == '\r')
        --*len;
    return 1;
}

/* Receives behind what is held. Fails with EAGAIN when nothing comes for so long. Returns as recv() does. */
static ssize_t receive(struct connection *conn, long long patience, const char **failed)
{
    *failed = "recv() failed";
    if (patience <= 0) {
        errno = EAGAIN; /* zero would mean for ever */
        return -1;
    }
    if (patience != conn->patience) {
        struct timeval value = {.tv_sec = patience / 1000000, .tv_usec = patience % 1000000};
        if (setsockopt(conn->sock, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)) < 0) {
            *failed = "setsockopt() failed";
            return -1;
        }
        conn->patience = patience;
    }
    memmove(conn->buffer, conn->buffer + conn->held, conn->end - conn->held);
    conn->end -= conn->held;
    conn->held = 0;
    ssize_t n = recv(conn->sock, conn->buffer + conn->end, sizeof(conn->buffer) - conn->end, 0);
    conn->end += n > 0 ? n : 0;
    return n;
}

/*
 * Before we close on a client that may not be done: says that no more will come, and takes in for a while what it still sends.
 * Closing at once would answer that with a reset, which can overtake our last words.
 */
static const char *hangUp(struct connection *conn)
{
    const char *failed;
    if (shutdown(conn->sock, SHUT_WR) < 0)
        return errno == ENOTCONN ? NULL : "shutdown() failed"; /* it has gone already */
    long long deadline = now() + DRAIN * 1000000LL, left = DRAIN * 1000000LL;
    ssize_t n;
    do {
        conn->held = conn->end = 0;
        n = receive(conn, left, &failed);
        left = deadline - now();
    } while (n > 0 || (n < 0 && errno == EINTR));
    return NULL; /* the end; too late; or reset: it has had its answer, or never will */
}

/* ---- Beyond the slide: who may have what ---- */

/* Opens the file of that name, or returns why not. Not even a symbolic link leads out of the root. */
static int openBeneath(struct connection *conn, int flag, int *fd)
{
    /* Non-blocking, as a named pipe would wait for a writer. */
    struct open_how how = {.flags = flag | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    const char *name = *conn->name ? conn->name : ".";
    int tries = 0;
    do
        *fd = syscall(SYS_openat2, root, name, &how, sizeof(how));
    while (*fd < 0 && errno == EAGAIN && ++tries < 10); /* something was renamed in that moment */
    if (*fd >= 0)
        return 200;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return 404;
    case EACCES: /* not readable, outside the root, a loop of links, a socket or a device without a driver */
    case EPERM:
    case EXDEV:
    case ELOOP:
    case ENXIO:
    case ENODEV:
        return 403;
    default:
        reportOn(conn, "openat2() failed");
        return 500;
    }
}

/* Whether a header's value is the word Basic and these. Takes as long for a good guess as for a bad one. */
static int areShown(const char *value, size_t len)
{
    unsigned char differences = 0;
    if (credentials == NULL || len != 6 + strlen(credentials) || strncasecmp(value, "Basic ", 6) != 0)
        return 0;
    for (size_t i = 6; i < len; i++)
        differences |= value[i] ^ credentials[i - 6];
    return differences == 0;
}

/* ---- Beyond the slide: answering ---- */

/* The status and the part of a file that a request wants, who may have it already. */
static int conditional(const struct request *request, const struct resource *found, off_t *first, off_t *end)
{
    const struct byteRange *range = &request->range;
    unsigned long long size = found->size, from, to;
    if (request->ifModifiedSince != -1 && found->modified <= request->ifModifiedSince)
        return 304;
    *end = size;
    if (range->kind == ALL || request->head || (request->ifRange && request->ifRangeTime != found->modified))
        return 200;
    from = range->kind == FROM ? range->first : range->last < size ? size - range->last : 0;
    to = range->kind == FROM && range->last < size ? range->last + 1 : size;
    if (from >= to) {
        *end = 0;
        return 416;
    }
    *first = from;
    *end = to;
    return 206;
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 414: return "URI Too Long";
    case 416: return "Range Not Satisfiable";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

/* Everything before the body. Nothing that a client sent gets into it but the name of a directory, and that is escaped. */
static void generate(struct connection *conn, int status, const struct resource *found, off_t first, off_t length)
{
    char *out = conn->answer;
    out += sprintf(out, "HTTP/1.1 %d %s\r\nDate: ", status, reason(status));
    out = writeDate(out, HTTP_DATE, time(NULL));
    out += sprintf(out, "\r\nServer: sockstep/" VERSION "\r\n");
    if (status == 200 || status == 206 || status == 304) {
        if (status != 304)
            out += sprintf(out, "Content-Type: %s\r\n", contentType(conn->name));
        out = writeDate(stpcpy(out, "Last-Modified: "), HTTP_DATE, found->modified);
        out = stpcpy(out, "\r\nAccept-Ranges: bytes\r\n");
        if (status == 206)
            out += sprintf(out, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)first,
                           (long long)(first + length - 1), (long long)found->size);
    } else {
        out = stpcpy(out, "Content-Type: text/html; charset=utf-8\r\n");
    }
    if (status != 304)
        out += sprintf(out, "Content-Length: %lld\r\n", (long long)length);
    if (status == 301)
        out = stpcpy(escapeUrl(conn->name, stpcpy(out, "Location: /")), "/\r\n");
    if (status == 401)
        out = stpcpy(out, "WWW-Authenticate: Basic realm=\"files\"\r\n");
    if (status == 405)
        out = stpcpy(out, "Allow: GET, HEAD\r\n");
    if (status == 416)
        out += sprintf(out, "Content-Range: bytes */%lld\r\n", (long long)found->size);
    if (!conn->request.keepAlive)
        out = stpcpy(out, "Connection: close\r\n");
    else if (conn->request.old)
        out = stpcpy(out, "Connection: keep-alive\r\n");
    out = stpcpy(out, "\r\n");
    conn->answerLen = out - conn->answer;
}

/* Sends the answer that is ready. A client that does not take it loses it. Returns NULL, or what failed. */
static const char *sendInTime(const struct connection *conn, int flags)
{
    const char *rest = conn->answer, *end = rest + conn->answerLen;
    long long deadline = now() + requestTimeout * 1000000LL;
    while (rest < end) {
        ssize_t n = send(conn->sock, rest, end - rest, flags);
        if (n == 0)
            errno = EIO; /* not from a sound kernel, and no way on */
        if (n == 0 || (n < 0 && errno != EINTR))
            return "send() failed";
        rest += n > 0 ? n : 0;
        if (rest < end && now() >= deadline) {
            errno = EAGAIN;
            return "send() failed";
        }
    }
    return NULL;
}

/* The same for a part of a file, straight from the kernel's memory of it: each chunk has the time that a request has. */
static const char *sendFileInTime(const struct connection *conn, int fd, off_t first, off_t end, long long *sent)
{
    while (first < end) {
        off_t chunk = end - first > CHUNK ? first + CHUNK : end;
        long long deadline = now() + requestTimeout * 1000000LL;
        while (first < chunk) {
            off_t offset = first;
            ssize_t n = sendfile(conn->sock, fd, &offset, chunk - first);
            if (n == 0)
                errno = EIO; /* the file has become shorter: only a close can say so */
            if (n == 0 || (n < 0 && errno != EINTR))
                return "sendfile() failed";
            first += n > 0 ? n : 0;
            *sent += n > 0 ? n : 0;
            if (first < chunk && now() >= deadline) {
                errno = EAGAIN;
                return "sendfile() failed";
            }
        }
    }
    return NULL;
}

/* A line in the form that web servers have in common: who, when, the request, the status, how many bytes. */
static void logAnswer(struct connection *conn, int status, long long sent)
{
    static pthread_mutex_t whole = PTHREAD_MUTEX_INITIALIZER; /* a pipe would mix long ones */
    const struct request *request = &conn->request;
    int isKnown = areShown(request->credentials, request->credentialsLen);
    char *out = conn->line;
    out = stpcpy(stpcpy(out, conn->host), " - ");
    out = isKnown ? escape(user, strlen(user), out) : stpcpy(out, "-");
    out = writeDate(stpcpy(out, " ["), LOG_DATE, time(NULL));
    out = stpcpy(out, "] \"");
    const char *rest = request->line, *end = rest + request->lineLen, *quote;
    for (; (quote = memchr(rest, '"', end - rest)) != NULL; rest = quote + 1)
        out = stpcpy(escape(rest, quote - rest, out), "\\\""); /* one of the client's does not end the field */
    out = escape(rest, end - rest, out);
    if (request->lineLen == 0)
        *out++ = '-';
    out += sent == 0 ? sprintf(out, "\" %d -\n", status) : sprintf(out, "\" %d %lld\n", status, sent);
    pthread_mutex_lock(&whole);
    print(conn->line, out - conn->line);
    pthread_mutex_unlock(&whole);
}

/* ---- Beyond the slide: a server for both kinds of addresses ---- */

/* The address as text, and for an IPv4 client at an IPv6 socket, which has its own behind ::ffff:, only that. */
static void describe(struct connection *conn)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&conn->addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&conn->addr;
    if (conn->addr.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
        memcpy(&own.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof(own.sin_addr));
        *v4 = own;
    }
    if (conn->addr.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, conn->host, sizeof(conn->host));
        sprintf(conn->client, "%s:%d", conn->host, ntohs(v4->sin_port));
    } else {
        char scope[16] = "";
        inet_ntop(AF_INET6, &v6->sin6_addr, conn->host, sizeof(conn->host));
        if (v6->sin6_scope_id != 0)
            sprintf(scope, "%%%u", v6->sin6_scope_id);
        sprintf(conn->client, "[%s%s]:%d", conn->host, scope, ntohs(v6->sin6_port));
    }
}

/* What went wrong with one client: `failed` says which call, NULL that all is well. The server goes on. */
static void reportOn(const struct connection *conn, const char *failed)
{
    if (failed != NULL)
        note("%s: %s: %s", conn->client, failed, strerror(errno));
}

/* A socket that listens, and a line that says so: the echo server's steps 1 to 3. */
static int listening(void)
{
    struct connection own; /* for its address as text */
    struct sockaddr_in *v4 = (struct sockaddr_in *)&own.addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&own.addr;
    int servSock, on = 1, off = 0;
    memset(&own.addr, 0, sizeof(own.addr)); /* any: in6addr_any, and INADDR_ANY */
    own.addr.ss_family = AF_INET6;          /* a socket for that takes IPv4 as well */
    if (bindAddress != NULL && inet_pton(AF_INET6, bindAddress, &v6->sin6_addr) != 1) {
        own.addr.ss_family = AF_INET;
        inet_pton(AF_INET, bindAddress, &v4->sin_addr);
    }
    servSock = socket(own.addr.ss_family, SOCK_STREAM, IPPROTO_TCP);
    if (servSock < 0 && errno == EAFNOSUPPORT && bindAddress == NULL) /* no IPv6 on this machine */
        servSock = socket(own.addr.ss_family = AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (servSock < 0)
        DieWithError("socket() failed");
    if (setsockopt(servSock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");
    int isV6 = own.addr.ss_family == AF_INET6;
    if (isV6 && setsockopt(servSock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
        DieWithError("setsockopt() failed");
    if (isV6)
        v6->sin6_port = htons(port);
    else
        v4->sin_port = htons(port);
    socklen_t addrLen = isV6 ? sizeof(*v6) : sizeof(*v4);
    if (bind(servSock, (struct sockaddr *)&own.addr, addrLen) < 0)
        DieWithError("bind() failed");
    if (listen(servSock, backlog) < 0)
        DieWithError("listen() failed");
    addrLen = sizeof(own.addr);
    if (getsockname(servSock, (struct sockaddr *)&own.addr, &addrLen) < 0)
        DieWithError("getsockname() failed");
    describe(&own);
    printLine("listening on %s\n", own.client);
    return servSock;
}

/* ---- Beyond the slide: threads and descriptors ---- */

/* Threads that serve a client now, and what they signal when they are done. */
static unsigned threads = 0;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static void count(int change)
{
    pthread_mutex_lock(&mutex);
    threads += change;
    if (change < 0)
        pthread_cond_signal(&done);
    pthread_mutex_unlock(&mutex);
}

/* Waits until so many threads are no longer there. */
static void waitUntilFewerThan(unsigned number)
{
    pthread_mutex_lock(&mutex);
    while (threads >= number)
        pthread_cond_wait(&done, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* A client needs two descriptors, for its connection and for its file. Asks for as many as there may be, if that is more. */
static void allowDescriptors(void)
{
    struct rlimit files;
    rlim_t wanted = limit * (rlim_t)2 + 16;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
        files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files); /* or a client may have to wait */
    }
}

/* ---- Arguments ---- */

static const char *base64(const char *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(bytes);
    char *text = allocate((len + 2) / 3 * 4 + 1), *out = text;
    for (size_t i = 0; i < len; i += 3) {
        unsigned bits = 0;
        for (size_t j = i; j < i + 3; j++)
            bits = bits << 8 | (j < len ? (unsigned char)bytes[j] : 0);
        for (size_t j = 0; j < 4; j++)
            *out++ = i + j > len ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
    *out = '\0';
    return text;
}

static void arguments(int argc, char *argv[])
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
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'r': rootName = optarg; break;
        case 'b': bindAddress = inet_pton(AF_INET6, optarg, &any) == 1 ? optarg : dotted(optarg); break;
        case 'l': backlog = number(optarg, 0, INT_MAX); break;
        case 'c': limit = number(optarg, 1, UINT_MAX); break;
        case 'm': maxClients = number(optarg, 1, ULONG_MAX); break;
        case 't': requestTimeout = number(optarg, 1, 86400); break;
        case 'u': user = optarg; break;
        case 'q': quiet = 1; break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind > 1)
        usage('?', argv[0], ARGUMENTS);
    if (optind < argc)
        port = number(argv[optind], 0, 65535);
    if (user == NULL)
        return;
    char *colon = strchr(user, ':');
    if (colon == NULL || strlen(user) > 255) {
        note("%s: not NAME:PASSWORD, of 255 bytes at most", user);
        exit(2);
    }
    credentials = base64(user);
    *colon = '\0';
}
