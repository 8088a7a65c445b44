/*
 * web/request.h - the parts of HTTP/1.1 that the web server reads (RFC 9112, RFC 9110): request
 * lines, URLs, ranges, dates. There are no system calls here. The Rust program has the same in
 * web/request.rs.
 */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#define LINE 8192   /* bytes of a request's line at most, its end not counted */
#define HEADERS 100 /* header lines of a request at most */

/* ---- A request, line by line ---- */

/* The range in "Range: bytes=...". */
struct byteRange {
    enum { ALL, FROM, LAST } kind;  /* all; first to last; the final `last` bytes */
    unsigned long long first, last; /* the largest value means to the end */
};

/* A request, filled in line by line. */
struct request {
    char line[LINE]; /* the request line, as received */
    size_t lineLen;
    const char *target; /* the URL's place in it */
    size_t targetLen;
    int head;                    /* HEAD: the answer has no body */
    int whole;                   /* the request was read to its end: it has no body */
    int keepAlive;               /* whether another request may follow on the same connection */
    int old;                     /* HTTP/1.0: the client must be told if the connection is kept */
    char credentials[LINE];      /* the value of Authorization: */
    size_t credentialsLen;
    struct byteRange range;      /* the value of Range:, if it is a single range */
    int ifRange;                 /* If-Range: the range applies only if the file has this time */
    time_t ifRangeTime;          /* -1: no date */
    time_t ifModifiedSince;      /* -1: it does not apply */
    int asksToStay, asksToClose; /* Connection: keep-alive, close */
    int headers, hosts, authorizations, ranges;
    int refused; /* the status to refuse the method with, after the headers; or 200 */
    int length; /* Content-Length: -1 if missing, else whether there is a body */
    int chunked, ifNoneMatch;
};

/* Resets for the next request. */
static inline void clearRequest(struct request *request)
{
    request->lineLen = request->targetLen = request->credentialsLen = 0;
    request->head = request->whole = request->keepAlive = request->old = request->ifRange = 0;
    request->range.kind = ALL;
    request->ifModifiedSince = -1;
    request->asksToStay = request->asksToClose = 0;
    request->headers = request->hosts = request->authorizations = request->ranges = 0;
    request->refused = 200;
    request->length = -1;
    request->chunked = request->ifNoneMatch = 0;
}

/* Whether each byte is a letter, a digit or one of these. */
static inline int consistsOf(const char *word, size_t len, const char *others)
{
    for (size_t i = 0; i < len; i++)
        if (!(word[i] >= 'a' && word[i] <= 'z') && !(word[i] >= 'A' && word[i] <= 'Z') &&
            !(word[i] >= '0' && word[i] <= '9') &&
            (word[i] == '\0' || strchr(others, word[i]) == NULL))
            return 0;
    return 1;
}

/* A method's or a header's name: RFC 9110's token. */
static inline int isToken(const char *word, size_t len)
{
    return len > 0 && consistsOf(word, len, "!#$%&'*+-.^_`|~");
}

static inline int isDigits(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (value[i] < '0' || value[i] > '9')
            return 0;
    return len > 0;
}

/* The value of a hexadecimal digit, or -1. */
static inline int digit(const char *at, const char *end)
{
    const char *digits = "0123456789abcdef", *found;
    if (at >= end || *at == '\0')
        return -1;
    found = strchr(digits, *at >= 'A' && *at <= 'F' ? *at | 0x20 : *at);
    return found ? found - digits : -1;
}

/* RFC 3986's reg-name: plain bytes, and others as %XX. An IPv4 address is one too. */
static inline int isRegName(const char *name, const char *end)
{
    while (name < end) {
        if (*name == '%' && digit(name + 1, end) >= 0 && digit(name + 2, end) >= 0)
            name += 3;
        else if (consistsOf(name, 1, "-._~!$&'()*+,;="))
            name++;
        else
            return 0;
    }
    return 1;
}

/* A host's name or address, perhaps with a port (RFC 9110, section 7.2); may be empty. */
static inline int isHost(const char *value, size_t len)
{
    const char *end = value + len, *port;
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len > 0 && *value == '[') {
        const char *close = memchr(value, ']', len);
        if (close == NULL || (size_t)(close - value) > sizeof(text))
            return 0;
        *(char *)mempcpy(text, value + 1, close - value - 1) = '\0';
        if (memchr(value, '\0', close - value) != NULL || inet_pton(AF_INET6, text, &address) != 1)
            return 0;
        port = close + 1;
    } else {
        port = memchr(value, ':', len);
        if (port == NULL)
            port = end;
        if (!isRegName(value, port))
            return 0;
    }
    return port == end || (*port == ':' && (port + 1 == end || isDigits(port + 1, end - port - 1)));
}

/* No control byte. */
static inline int isText(char byte)
{
    return (unsigned char)byte >= ' ' && byte != 0x7f;
}

static inline int is(const char *known, const char *word, size_t len)
{
    return len == strlen(known) && strncasecmp(known, word, len) == 0;
}

/* Without the blanks around it. */
static inline const char *trim(const char *value, size_t *len)
{
    for (; *len > 0 && (*value == ' ' || *value == '\t'); value++)
        --*len;
    while (*len > 0 && (value[*len - 1] == ' ' || value[*len - 1] == '\t'))
        --*len;
    return value;
}

/*
 * Reads digits; a number that is too large becomes the maximum. Returns 0 if they are not digits.
 */
static inline int readNumber(const char *digits, size_t len, unsigned long long *value)
{
    if (!isDigits(digits, len))
        return 0;
    *value = 0;
    for (size_t i = 0; i < len; i++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, digits[i] - '0', value)) {
            *value = ULLONG_MAX;
            return 1;
        }
    return 1;
}

/* A single range; ALL if the value is malformed or has several. */
static inline struct byteRange parseRange(const char *value, size_t len)
{
    struct byteRange range = {FROM, 0, ULLONG_MAX}, all = {ALL, 0, 0};
    if (len < 6 || strncasecmp(value, "bytes=", 6) != 0)
        return all;
    len -= 6;
    value = trim(value + 6, &len);
    const char *dash = memchr(value, '-', len);
    if (dash == NULL)
        return all;
    size_t firstLen = dash - value, lastLen = len - firstLen - 1;
    if (firstLen == 0)
        range.kind = LAST;
    else if (!readNumber(value, firstLen, &range.first))
        return all;
    if ((range.kind == LAST || lastLen > 0) && !readNumber(dash + 1, lastLen, &range.last))
        return all;
    return range.kind == FROM && range.first > range.last ? all : range;
}

/*
 * Reads the date of a header in any of the three forms of RFC 9110: the one that we write, and two
 * old ones. -1: malformed.
 */
static inline time_t parseDate(const char *value, size_t len)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    char text[64];
    if (len >= sizeof(text))
        return -1;
    *(char *)mempcpy(text, value, len) = '\0';
    for (int i = 0; i < 3; i++) {
        struct tm date = {0};
        const char *end = strptime(text, forms[i], &date);
        if (end != NULL && *end == '\0')
            return timegm(&date);
    }
    return -1;
}

/* The status for a line that is longer than LINE. */
static inline int tooLong(struct request *request, const char *line)
{
    if (request->lineLen > 0)
        return 431;
    memcpy(request->line, line, request->lineLen = LINE);
    return 414;
}

/* "GET /index.html HTTP/1.1" */
static inline int takeRequestLine(struct request *request, const char *line, size_t len)
{
    static const char *const others[] = {"POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE",
                                         "PATCH"};
    memcpy(request->line, line, request->lineLen = len);
    line = request->line;
    const char *end = line + len;
    const char *target = memchr(line, ' ', len);
    const char *version = target ? memchr(target + 1, ' ', end - target - 1) : NULL;
    if (version == NULL || memchr(version + 1, ' ', end - version - 1) != NULL)
        return 400;
    size_t methodLen = target++ - line, targetLen = version++ - target, versionLen = end - version;
    if (!isToken(line, methodLen) || targetLen == 0)
        return 400;
    for (size_t i = 0; i < targetLen; i++)
        /* Bytes beyond ASCII are allowed: a browser escapes them, a person does not. */
        if (!isText(target[i]))
            return 400;
    if (versionLen != 8 || memcmp(version, "HTTP/", 5) != 0 || !isDigits(version + 5, 1) ||
        version[6] != '.' || !isDigits(version + 7, 1))
        return 400;
    if (memcmp(version, "HTTP/1.1", 8) != 0 && memcmp(version, "HTTP/1.0", 8) != 0)
        return 505;
    request->old = version[7] == '0';
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (methodLen == strlen(others[i]) && memcmp(line, others[i], methodLen) == 0)
            request->refused = 405;
    request->head = methodLen == 4 && memcmp(line, "HEAD", 4) == 0;
    int get = methodLen == 3 && memcmp(line, "GET", 3) == 0;
    if (!get && !request->head && request->refused == 200)
        request->refused = 501;
    request->target = target;
    request->targetLen = targetLen;
    return 0;
}

/* "Host: www.example.org" */
static inline int takeHeader(struct request *request, const char *line, size_t len)
{
    if (++request->headers > HEADERS)
        return 431;
    /*
     * In old HTTP a line that begins with a blank continues the line before it. Here it is refused:
     * its name is not a token.
     */
    const char *colon = memchr(line, ':', len);
    if (colon == NULL || !isToken(line, colon - line))
        return 400;
    size_t nameLen = colon - line, valueLen = len - nameLen - 1;
    const char *value = colon + 1;
    for (size_t i = 0; i < valueLen; i++)
        if (value[i] != '\t' && !isText(value[i]))
            return 400;
    value = trim(value, &valueLen);
    if (is("Host", line, nameLen)) {
        if (++request->hosts > 1 || !isHost(value, valueLen))
            return 400;
    } else if (is("Content-Length", line, nameLen)) {
        if (request->length >= 0 || !isDigits(value, valueLen))
            return 400;
        request->length = 0;
        for (size_t i = 0; i < valueLen; i++)
            request->length |= value[i] != '0';
    } else if (is("Transfer-Encoding", line, nameLen)) {
        if (request->chunked)
            return 400;
        if (!is("chunked", value, valueLen))
            return 501;
        request->chunked = 1;
    } else if (is("Connection", line, nameLen)) {
        for (const char *end = value + valueLen, *next; value <= end; value = next + 1) {
            next = memchr(value, ',', end - value);
            next = next ? next : end;
            size_t optionLen = next - value;
            const char *option = trim(value, &optionLen);
            request->asksToClose |= is("close", option, optionLen);
            request->asksToStay |= is("keep-alive", option, optionLen);
        }
    } else if (is("Range", line, nameLen)) {
        request->range = parseRange(value, valueLen);
        if (++request->ranges > 1)
            request->range.kind = ALL;
    } else if (is("If-Range", line, nameLen)) {
        request->ifRange = 1;
        request->ifRangeTime = parseDate(value, valueLen);
    } else if (is("If-Modified-Since", line, nameLen)) {
        request->ifModifiedSince = parseDate(value, valueLen);
    } else if (is("If-None-Match", line, nameLen)) {
        request->ifNoneMatch = 1;
    } else if (is("Authorization", line, nameLen)) {
        if (++request->authorizations > 1)
            return 400;
        memcpy(request->credentials, value, valueLen);
        request->credentialsLen = valueLen;
    }
    return 0;
}

/* The empty line: checks of the request as a whole. */
static inline int takeEnd(struct request *request)
{
    if ((!request->old && request->hosts == 0) ||
        (request->chunked && (request->length >= 0 || request->old)))
        return 400;
    /* A body is not read, so the start of the next request would be unknown. */
    request->whole = !request->chunked && request->length <= 0;
    request->keepAlive = request->whole && !request->asksToClose &&
                         (!request->old || request->asksToStay);
    if (request->ifNoneMatch)
        /* If-None-Match replaces it, and never matches: our responses have no tags. */
        request->ifModifiedSince = -1;
    return request->refused;
}

/*
 * Takes the next line, without its line ending. Returns 0 if more lines follow, 200 if the request
 * is complete, else the status to refuse with.
 */
static inline int takeLine(struct request *request, const char *line, size_t len)
{
    if (len > LINE)
        return tooLong(request, line);
    if (request->lineLen == 0)
        /* Empty lines before a request are ignored. */
        return len == 0 ? 0 : takeRequestLine(request, line, len);
    return len == 0 ? takeEnd(request) : takeHeader(request, line, len);
}

/* ---- A URL ---- */

/*
 * The name of the file that a URL means, relative to the root, without empty parts, "." and "..". A
 * directory's name ends with a slash; the root's is empty. `name` has room for as many bytes and a
 * NUL. Returns 200, or the status to refuse with.
 */
static inline int fileName(const char *target, size_t len, char *name)
{
    const char *end = memchr(target, '?', len); /* the query is ignored */
    end = end ? end : target + len;
    if (memchr(target, '#', end - target) != NULL)
        return 400; /* a client does not send the fragment */
    if (*target != '/') { /* the form used for proxies: http:// and a host come first */
        if (end - target < 7 || strncasecmp(target, "http://", 7) != 0)
            return 400;
        target += 7;
        const char *path = memchr(target, '/', end - target);
        path = path ? path : end;
        if (path == target || *target == ':' || !isHost(target, path - target))
            return 400;
        target = path;
    }
    char *part = name, *out = name; /* where the last part begins, and ends */
    for (;; target++) {
        int byte = target < end ? (unsigned char)*target : -1;
        int slash = byte == '/';
        if (byte == '%') { /* decoded once only: a decoded % is not decoded again */
            int high = digit(target + 1, end), low = digit(target + 2, end);
            if (high < 0 || low < 0)
                return 400;
            byte = high << 4 | low;
            slash = byte == '/';
            target += 2;
        }
        if (byte >= 0 && !slash) {
            if (!isText(byte))
                /* NUL would end the name early; other control bytes must not get into a log. */
                return 400;
            *out++ = byte;
            continue;
        }
        size_t partLen = out - part;
        if (partLen == 1 && part[0] == '.') {
            out = part;
        } else if (partLen == 2 && part[0] == '.' && part[1] == '.') {
            if (part == name)
                return 400; /* there is nothing above the root */
            for (out = part - 1; out > name && out[-1] != '/';)
                out--;
        } else if (partLen > 0 && slash) {
            *out++ = '/';
        }
        part = out;
        if (byte < 0) {
            *out = '\0';
            return 200;
        }
    }
}

/* Whether a part of the name begins with a dot. */
static inline int isHidden(const char *name)
{
    return *name == '.' || strstr(name, "/.") != NULL;
}

/*
 * Writes a name in a URL's form: all but plain bytes as %XX. `out` has room for three times as many
 * bytes. Returns its end.
 */
static inline char *escapeUrl(const char *name, char *out)
{
    for (; *name != '\0'; name++)
        if (consistsOf(name, 1, "-._~/"))
            *out++ = *name;
        else
            out += sprintf(out, "%%%02X", (unsigned char)*name);
    *out = '\0';
    return out;
}

/* The type of a file, by the ending of its name. */
static inline const char *contentType(const char *name)
{
    static const char *const types[][2] = {
        {"css", "text/css; charset=utf-8"},       {"csv", "text/csv; charset=utf-8"},
        {"gif", "image/gif"},                     {"htm", "text/html; charset=utf-8"},
        {"html", "text/html; charset=utf-8"},     {"ico", "image/x-icon"},
        {"jpeg", "image/jpeg"},                   {"jpg", "image/jpeg"},
        {"js", "text/javascript; charset=utf-8"}, {"json", "application/json"},
        {"md", "text/markdown; charset=utf-8"},   {"mjs", "text/javascript; charset=utf-8"},
        {"mp3", "audio/mpeg"},                    {"mp4", "video/mp4"},
        {"pdf", "application/pdf"},               {"png", "image/png"},
        {"svg", "image/svg+xml"},                 {"txt", "text/plain; charset=utf-8"},
        {"wasm", "application/wasm"},             {"webm", "video/webm"},
        {"webp", "image/webp"},                   {"woff2", "font/woff2"},
        {"xml", "text/xml; charset=utf-8"},       {"zip", "application/zip"},
    };
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(dot + 1, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* ---- Dates, all in UTC ---- */

/* Writes a time with strftime(3). Returns the end. */
static inline char *writeDate(char *out, const char *format, time_t seconds)
{
    struct tm date;
    gmtime_r(&seconds, &date);
    return out + strftime(out, 40, format, &date);
}
#define HTTP_DATE "%a, %d %b %Y %H:%M:%S GMT" /* Mon, 04 Feb 2008 13:09:03 GMT */
#define LOG_DATE "%d/%b/%Y:%H:%M:%S +0000"    /* 04/Feb/2008:13:09:03 +0000 */

#endif
