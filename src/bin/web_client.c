/*
 * web_client - asks a Web server for a page, and shows its response.
 *
 * Usage: web_client [OPTIONS] URL
 * Follows: the Princeton deck, "In Fact, Try This at a UNIX Prompt...", the telnet session, in the
 * steps of "Example - Echo using stream socket", the client's column.
 * Rust twin: web_client.rs, which also follows redirects. Its server: web_server.c.
 *
 * web/ has the parts beyond the slides: url.h and response.h parse HTTP, page.h is for --output and
 * terminals. common/deadline.h is for --timeout.
 */
#include "common/common.h" /* addresses(), DieWithError() */
#include <errno.h>         /* errno */
#include <netdb.h>         /* struct addrinfo */
#include <stdio.h>         /* open_memstream() */
#include <sys/socket.h>    /* socket() */
#include <unistd.h>        /* close() */

#include "common/deadline.h" /* connectInTime() and its connect(), send() and recv() likewise */
#include "web/page.h"
#include "web/response.h"
#include "web/url.h"

#define RCVBUFSIZE 65536 /* bytes asked of each recv */
#define REFUSED 22       /* the status of --fail, as in curl */

static struct url url;
static int include = 0, headAlone = 0, failing = 0;
static char **headers; /* those given by --header */
static int headersLen = 0;
static unsigned timeout = 0; /* 0: no limit */

static char *request(size_t *len);

/* Steps 1 and 2 with each of the server's addresses, until one takes the connection. */
static int firstToConnect(const struct addrinfo **server)
{
    unsigned left = 0;
    for (const struct addrinfo *each = *server; each != NULL; each = each->ai_next)
        left++;
    for (;; left--) {
        const struct addrinfo *address = *server;

        /* 1. Create a TCP socket. */
        int sock = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (sock < 0 && left == 1)
            DieWithError("socket() failed");

        /* 2. Establish the connection. */
        if (sock >= 0) {
            if (connectInTime(sock, address->ai_addr, address->ai_addrlen, left) == 0)
                return sock;
            int why = errno;
            close(sock);
            errno = why;
            if (left == 1)
                die(reason(0));
        }
        *server = address->ai_next;
    }
}

/* The telnet session. */
static void talk(void)
{
    static struct response response; /* all zero at first */
    static char buffer[RCVBUFSIZE];
    struct addrinfo *servers = addresses(url.host, url.port, SOCK_STREAM);
    const struct addrinfo *server = servers;
    int sock = firstToConnect(&server);

    /* 3. Communicate: send the request, receive the response. */
    size_t len, sent = 0;
    char *text = request(&len);
    response.withoutBody = headAlone;
    int shown = 0;
    while (response.state != DONE) {
        ssize_t received = sendUntilAnswered(sock, text, len, &sent);
        if (received == 0)
            received = recvInTime(sock, buffer, RCVBUFSIZE);
        if (received < 0)
            endEarly(1, "%s", reason(response.headLen > 0));
        if (received == 0 && !mayEnd(&response))
            endEarly(1, "recv() failed: connection closed prematurely");
        size_t body = take(&response, buffer, received);
        if (response.hasHead && !shown) {
            shown = 1;
            if (include || headAlone)
                showPage(response.head, response.headLen);
            if (failing && response.status >= 400)
                endEarly(REFUSED, "the server answered %d", response.status);
        }
        showPage(buffer, body);
        if (response.state == BROKEN) {
            /* The answer may be our own request. */
            dieIfAlone(sock, server->ai_addr, server->ai_addr, server->ai_addrlen);
            endEarly(1, "the response makes no sense: %s", response.problem);
        }
        if (received == 0)
            break;
    }
    free(text);

    /* 4. Close the connection. */
    if (close(sock) < 0)
        endWithError("close() failed");
    freeaddrinfo(servers);
}

/* The text typed at the telnet prompt. "Connection: close": this is the only request. */
static char *request(size_t *len)
{
    char *text, *host = authority(&url);
    const char *usual[][2] = {{"Host:", host}, {"Connection:", "close"}};
    FILE *out = open_memstream(&text, len);
    if (out == NULL)
        DieWithError("open_memstream() failed");
    fprintf(out, "%s %s HTTP/1.1\r\n", headAlone ? "HEAD" : "GET", url.target);
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

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[-i | --include] [-I | --head] [-o FILE | --output FILE] [-f | --fail] "          \
    "[-H LINE | --header LINE] [-m SECONDS | --timeout SECONDS] URL "                  \
    "(--location is the Rust program's alone)"

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
        {"include", no_argument, NULL, 'i'},
        {"head", no_argument, NULL, 'I'},
        {"output", required_argument, NULL, 'o'},
        {"fail", no_argument, NULL, 'f'},
        {"header", required_argument, NULL, 'H'},
        {"timeout", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    headers = allocate(argc * sizeof(*headers));
    for (int c; (c = getopt_long(argc, argv, "iIo:fH:m:hV", options, NULL)) != -1;)
        switch (c) {
        case 'i': include = 1; break;
        case 'I': headAlone = 1; break;
        case 'o': page.path = optarg; break;
        case 'f': failing = 1; break;
        case 'H': headers[headersLen++] = header(optarg); break;
        case 'm': timeout = number(optarg, 1, UINT_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind != 1)
        usage('?', argv[0], ARGUMENTS);
    if (parseUrl(argv[optind], &url) < 0) {
        note("the URL: %s", url.problem);
        exit(2);
    }
    if (page.path != NULL && strcmp(page.path, "-") == 0)
        page.path = NULL;
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    page.terminal = page.path == NULL && isatty(STDOUT_FILENO);
    setDeadline(timeout);
    talk();
    endPage();
    return 0;
}
