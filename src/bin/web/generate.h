/*
 * web/generate.h - the response of the Web server: its status, its headers, a page of our own. The
 * Rust program has the same in web/generate.rs.
 */
#ifndef WEB_GENERATE_H
#define WEB_GENERATE_H

#include "connection.h"
#include "files.h"

/* The body of a response. */
struct body {
    size_t page;      /* bytes of a page of our own, which is already in the response */
    off_t start, end; /* the part of the file that is sent after it */
};

/*
 * The status and the part of the file to send, for a request that may ask for a part only, or only
 * for a file that is newer than its copy.
 */
static inline int conditional(const struct request *request, const struct resource *found,
                              struct body *body)
{
    const struct byteRange *range = &request->range;
    unsigned long long size = found->size, from = 0, to = size;
    if (request->ifModifiedSince != -1 && found->modified <= request->ifModifiedSince)
        return 304;
    body->end = found->size;
    if (range->kind == ALL || request->head ||
        (request->ifRange && request->ifRangeTime != found->modified))
        return 200;
    if (range->kind == FROM)
        from = range->first;
    else if (range->last < size)
        from = size - range->last;
    if (range->kind == FROM && range->last < size)
        to = range->last + 1;
    if (from >= to) {
        body->end = 0;
        return 416;
    }
    body->start = from;
    body->end = to;
    return 206;
}

static inline const char *reason(int status)
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

/*
 * Writes everything before the body. The only thing in it that a client sent is the name of a
 * directory, which is escaped. Returns its end.
 */
static inline char *head(struct connection *conn, int status, const struct resource *found,
                         const struct body *body)
{
    long long length = body->page + body->end - body->start;
    char *out = conn->response;
    out += sprintf(out, "HTTP/1.1 %d %s\r\nDate: ", status, reason(status));
    out = writeDate(out, HTTP_DATE, time(NULL));
    out += sprintf(out, "\r\nServer: sockstep/" VERSION "\r\n");
    if (status == 200 || status == 206 || status == 304) {
        if (status != 304)
            out += sprintf(out, "Content-Type: %s\r\n", contentType(conn->name));
        out = writeDate(stpcpy(out, "Last-Modified: "), HTTP_DATE, found->modified);
        out = stpcpy(out, "\r\nAccept-Ranges: bytes\r\n");
        if (status == 206)
            out += sprintf(out, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)body->start,
                           (long long)body->end - 1, (long long)found->size);
    } else {
        out = stpcpy(out, "Content-Type: text/html; charset=utf-8\r\n");
    }
    if (status != 304)
        out += sprintf(out, "Content-Length: %lld\r\n", length);
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
    return stpcpy(out, "\r\n");
}

/*
 * Writes the response, without its file, into conn->response. Returns its status, and in `body`
 * what else there is of it.
 */
static inline int generate(struct connection *conn, int status, const struct resource *found,
                           struct body *body)
{
    char page[256] = "";
    *body = (struct body){0};
    if (status == 200)
        status = conditional(&conn->request, found, body);
    if (status != 200 && status != 206 && status != 304)
        body->page = sprintf(page, "<!DOCTYPE html>\n<title>%d %s</title>\n<h1>%d %s</h1>\n",
                             status, reason(status), status, reason(status));
    char *end = head(conn, status, found, body);
    if (conn->request.head)
        *body = (struct body){0};
    else
        end = stpcpy(end, page);
    conn->responseLen = end - conn->response;
    return status;
}

#endif
