/*
 * web/log.h - the Web server's log. The Rust program has the same in web/log.rs.
 */
#ifndef WEB_LOG_H
#define WEB_LOG_H

#include <pthread.h>

#include "connection.h"

/* Prints a line in the common log format: client, time, request, status, bytes sent. */
static inline void logResponse(struct connection *conn, int status, long long sent)
{
    /* Long lines on a pipe could otherwise mix. */
    static pthread_mutex_t whole = PTHREAD_MUTEX_INITIALIZER;
    const struct request *request = &conn->request;
    char *out = stpcpy(stpcpy(conn->line, conn->host), " - ");
    if (credentialsAreIn(&site.credentials, request->credentials, request->credentialsLen))
        out = escape(site.credentials.name, strlen(site.credentials.name), out);
    else
        *out++ = '-';
    out = writeDate(stpcpy(out, " ["), LOG_DATE, time(NULL));
    out = stpcpy(out, "] \"");
    const char *rest = request->line, *end = rest + request->lineLen, *quote;
    for (; (quote = memchr(rest, '"', end - rest)) != NULL; rest = quote + 1)
        /* A client's quotation mark does not end the field. */
        out = stpcpy(escape(rest, quote - rest, out), "\\\"");
    out = escape(rest, end - rest, out);
    if (request->lineLen == 0)
        *out++ = '-';
    if (sent == 0)
        out += sprintf(out, "\" %d -\n", status);
    else
        out += sprintf(out, "\" %d %lld\n", status, sent);
    pthread_mutex_lock(&whole);
    print(conn->line, out - conn->line);
    pthread_mutex_unlock(&whole);
}

#endif
