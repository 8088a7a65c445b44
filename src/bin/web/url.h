/*
 * web/url.h - splits a URL into host, port and target. The Rust program has the same in web/url.rs.
 */
#ifndef WEB_URL_H
#define WEB_URL_H

#define HTTP_PORT 80 /* the port if the URL names none */

struct url {
    char *host; /* a name or a numeric address; IPv6 without its brackets */
    in_port_t port;
    char *target; /* the path and the query, as sent in the request */
    const char *problem; /* what is wrong with it */
};

/* Sets the problem. Returns -1. */
static inline int wrong(struct url *url, const char *problem)
{
    url->problem = problem;
    return -1;
}

/*
 * Whether it is a name, or an IPv4 address in dotted form. A host whose last part is a number must
 * be an address in full: getaddrinfo() would also take 127.1.
 */
static inline int isName(const char *host)
{
    size_t len = strlen(host);
    struct in_addr address;
    if (len > 0 && host[len - 1] == '.')
        len--;
    const char *last = host + len;
    while (last > host && last[-1] != '.')
        last--;
    if (last + strspn(last, "0123456789") >= host + len || strncasecmp(last, "0x", 2) == 0)
        return inet_pton(AF_INET, host, &address) == 1;
    for (; *host != '\0'; host++)
        if (!isalnum((unsigned char)*host) && strchr("-._", *host) == NULL)
            return 0;
    return 1;
}

/* The host and the port. Returns 0 or -1. */
static inline int whom(const char *authority, size_t len, struct url *url)
{
    struct in6_addr address;
    const char *end = authority + len, *start = authority, *hostEnd, *rest;
    if (memchr(authority, '@', len) != NULL)
        return wrong(url, "names and passwords in a URL are not sent: "
                          "--header 'Authorization: ...' is");
    int brackets = len > 0 && *authority == '[';
    if (brackets) {
        start++;
        hostEnd = memchr(start, ']', end - start);
        rest = hostEnd != NULL ? hostEnd + 1 : end;
        if (hostEnd == NULL)
            hostEnd = start;
    } else {
        hostEnd = memchr(authority, ':', len);
        if (hostEnd == NULL)
            hostEnd = end;
        rest = hostEnd;
    }
    url->host = strndup(start, hostEnd - start);
    for (const char *c = url->host; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            return wrong(url, "the host is not ASCII: write its form that begins with xn-- "
                              "(idn2 prints it)");
    if (brackets && strchr(url->host, '%') != NULL)
        return wrong(url, "a zone like %eth0 is no part of a URL: write an address that needs "
                          "none, or a name");
    int known = brackets ? inet_pton(AF_INET6, url->host, &address) == 1 : isName(url->host);
    if (!known)
        return wrong(url, "the host is neither a name, nor an IPv4 address in dotted form, nor an "
                          "IPv6 one in brackets");

    unsigned long port = rest + 1 >= end ? HTTP_PORT : 0;
    int isPort = rest == end || *rest == ':';
    for (const char *digit = rest + 1; isPort && digit < end; digit++) {
        isPort = isdigit((unsigned char)*digit);
        port = port * 10 + (*digit - '0');
        isPort = isPort && port <= 65535;
    }
    if (!isPort)
        return wrong(url, "the port is not a number from 0 to 65535");
    url->port = port;
    return 0;
}

/*
 * Takes http://HOST[:PORT][/PATH][?QUERY][#FRAGMENT] apart. Returns 0 or -1. The fragment is
 * dropped, because it is not sent; bytes beyond ASCII are written as %C3.
 */
static inline int parseUrl(const char *text, struct url *url)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return wrong(url, "a URL has neither spaces (write %20) nor control characters");
    size_t scheme = strcspn(text, ":");
    if (scheme == strlen("https") && strncasecmp(text, "https", scheme) == 0)
        return wrong(url, "https needs TLS, which this client does not have: only http");
    if (scheme != strlen("http") || strncasecmp(text, "http://", strlen("http://")) != 0)
        return wrong(url, "not a URL like http://www.example.com/index.html");

    const char *authority = text + strlen("http://"), *rest = authority + strcspn(authority, "/?#");
    if (whom(authority, rest - authority, url) < 0)
        return -1;
    size_t len = strcspn(rest, "#");
    char *out = url->target = allocate(3 * len + 2);
    if (*rest != '/')
        *out++ = '/';
    for (size_t i = 0; i < len; i++)
        out += sprintf(out, (unsigned char)rest[i] < 0x80 ? "%c" : "%%%02X",
                       (unsigned char)rest[i]);
    *out = '\0';
    return 0;
}

/* The value of the Host header: the host, and the port unless it is 80. The caller frees it. */
static inline char *authority(const struct url *url)
{
    char *text = allocate(strlen(url->host) + 16), *end = text;
    end += sprintf(end, strchr(url->host, ':') != NULL ? "[%s]" : "%s", url->host);
    if (url->port != HTTP_PORT)
        sprintf(end, ":%d", url->port);
    return text;
}

#endif
