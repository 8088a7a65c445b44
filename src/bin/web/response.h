/*
 * web/response.h - parses a Web server's response in pieces of any size (RFC 9112). No size in it
 * is trusted. The Rust program has the same in web/response.rs.
 */
#ifndef WEB_RESPONSE_H
#define WEB_RESPONSE_H

#define HEADERS 65536 /* the most bytes of headers, and of lines between the chunks of a body */

/* The part of the response that the next byte belongs to. */
enum state {
    HEAD,
    COUNTED, /* a body with `left` bytes left */
    UNTIL_CLOSE,
    NO_SIZE, /* `left`, the size before a chunk: before and after its first digit, */
    SIZE,
    AFTER_SIZE, /* after its last one, */
    EXTENSION,  /* what follows a ';', the newline */
    END_OF_SIZE,
    CHUNK, /* a chunk with `left` bytes left, and its CR and LF */
    END_OF_CHUNK,
    AFTER_CHUNK,
    TRAILER, /* headers that follow the last chunk: at the start of a line, */
    TRAILER_LINE,
    END_OF_TRAILER, /* within one, at the newline of the empty one */
    DONE,
    BROKEN, /* `problem` says what is wrong */
};

/* A response so far; all zero at first. */
struct response {
    /* From the status line to the empty line, preceded by those of any interim response. */
    char head[HEADERS];
    size_t headLen;
    int hasHead; /* whether the headers are complete */
    int status;  /* 200, 404 and so on; 0 before it is known */
    int withoutBody; /* whether the request was HEAD, which is answered without a body */
    enum state state;
    uint64_t left;
    const char *problem;
    size_t block, line; /* the start, in `head`, of the last response and of the last line */
    size_t aside;       /* bytes so far of a line between chunks */
};

/* A piece of a text. */
struct span {
    const char *start;
    size_t len;
};

static inline void broken(struct response *response, const char *problem)
{
    response->state = BROKEN;
    response->problem = problem;
}

/* Whether a byte may stand in a header's name. */
static inline int isOfAName(char byte)
{
    return isalnum((unsigned char)byte) ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static inline struct span trimmed(const char *start, const char *end)
{
    while (start < end && strchr(" \t\r\n", *start) != NULL)
        start++;
    while (start < end && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    return (struct span){start, end - start};
}

static inline int equals(struct span span, const char *text)
{
    return span.len == strlen(text) && strncasecmp(span.start, text, span.len) == 0;
}

/*
 * Reads the header line at *at and moves *at to the next one. Returns 1, 0 at the empty line, or -1
 * if the line is malformed. A line that begins with a space continues the line before it.
 */
static inline int nextField(const char **at, const char *end, struct span *name, struct span *value)
{
    const char *line = *at, *colon = line;
    do
        *at = (const char *)memchr(*at, '\n', end - *at) + 1;
    while (*at < end && (**at == ' ' || **at == '\t'));
    if (*at == end && trimmed(line, end).len == 0)
        return 0;
    while (colon < *at && isOfAName(*colon))
        colon++;
    if (colon == line || *colon != ':')
        return -1;
    *name = (struct span){line, colon - line};
    *value = trimmed(colon + 1, *at);
    return 1;
}

/* How the end of the body is found (RFC 9112, section 6.3). `fields` is the first header line. */
static inline void beginBody(struct response *response, const char *fields, const char *end)
{
    int codings = 0, chunked = 0, lengths = 0, malformed = 0;
    uint64_t length = 0;
    struct span name, value;
    while (nextField(&fields, end, &name, &value) > 0) {
        int coding = equals(name, "Transfer-Encoding");
        if (!coding && !equals(name, "Content-Length"))
            continue;
        const char *element = value.start, *valueEnd = value.start + value.len;
        for (const char *comma; element <= valueEnd; element = comma + 1) {
            comma = memchr(element, ',', valueEnd - element);
            comma = comma != NULL ? comma : valueEnd;
            struct span item = trimmed(element, comma);
            if (coding) {
                codings++;
                chunked = equals(item, "chunked");
                continue;
            }
            uint64_t number = 0;
            malformed |= item.len == 0;
            for (size_t i = 0; i < item.len; i++)
                malformed |= !isdigit((unsigned char)item.start[i]) ||
                             __builtin_mul_overflow(number, 10, &number) ||
                             __builtin_add_overflow(number, item.start[i] - '0', &number);
            malformed |= lengths++ > 0 && number != length;
            length = number;
        }
    }
    response->left = length;
    response->hasHead = 1;
    if (response->withoutBody || response->status == 204 || response->status == 304)
        response->state = DONE;
    else if (codings > 0 && (codings > 1 || !chunked))
        broken(response, "a Transfer-Encoding other than chunked");
    else if (codings > 0)
        response->state = NO_SIZE;
    else if (malformed)
        broken(response, "a malformed Content-Length");
    else if (lengths == 0)
        response->state = UNTIL_CLOSE;
    else
        response->state = length == 0 ? DONE : COUNTED;
    response->hasHead = response->state != BROKEN;
}

/* The headers have just ended. */
static inline void endHead(struct response *response)
{
    const char *start = response->head + response->block, *end = response->head + response->headLen;
    for (const char *c = start; c < end; c++)
        if (*c == '\r' ? c[1] != '\n' : iscntrl((unsigned char)*c) && *c != '\t' && *c != '\n')
            return broken(response, "malformed headers");
    const char *fields = (const char *)memchr(start, '\n', end - start) + 1, *at = fields;
    struct span name, value;
    int more;
    while ((more = nextField(&at, end, &name, &value)) > 0)
        ;
    if (more < 0)
        return broken(response, "malformed headers");
    if (response->status < 200)
        response->block = response->headLen; /* the final response is still to come */
    else
        beginBody(response, fields, end);
}

/* The number in a status line like "HTTP/1.1 200 OK"; 0 if it is malformed. */
static inline int statusOf(const char *line)
{
    if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
        return 0;
    int status = 0;
    for (const char *digit = line + 9; digit < line + 12; digit++) {
        if (!isdigit((unsigned char)*digit))
            return 0;
        status = status * 10 + (*digit - '0');
    }
    int ends = line[12] == ' ' || line[12] == '\r' || line[12] == '\n';
    return ends && status >= 100 ? status : 0;
}

/* Takes bytes of the headers, up to the end of a line. Returns their number. */
static inline size_t takeHead(struct response *response, const char *bytes, size_t len)
{
    const char *newline = memchr(bytes, '\n', len);
    if (newline != NULL)
        len = newline + 1 - bytes;
    if (response->headLen + len > HEADERS) {
        broken(response, "more headers than 65536 bytes");
        return len;
    }
    memcpy(response->head + response->headLen, bytes, len);
    response->headLen += len;
    if (newline == NULL)
        return len;
    const char *line = response->head + response->line;
    size_t lineLen = response->headLen - response->line;
    if (response->line == response->block) {
        if ((response->status = statusOf(line)) == 0)
            broken(response, "not a response of HTTP/1");
    } else if (lineLen == 1 || (lineLen == 2 && *line == '\r')) {
        endHead(response);
    }
    response->line = response->headLen;
    return len;
}

/* Takes a byte of a line between chunks. */
static inline void takeAside(struct response *response, char byte)
{
    enum state state = response->state, next = BROKEN;
    int digit = isdigit((unsigned char)byte) ? byte - '0' : (byte | 0x20) - 'a' + 10;
    if (++response->aside > HEADERS)
        return broken(response, "more than 65536 bytes around a chunk");
    if (state == NO_SIZE)
        response->left = 0;
    switch (state) {
    case NO_SIZE:
    case SIZE:
        if (isxdigit((unsigned char)byte)) {
            if (__builtin_mul_overflow(response->left, 16, &response->left))
                return broken(response, "a chunk's size is too large");
            response->left += digit;
            next = SIZE;
            break;
        }
        if (state == NO_SIZE)
            break;
        __attribute__((fallthrough));
    case AFTER_SIZE:
        next = byte == ' ' || byte == '\t' ? AFTER_SIZE
               : byte == ';'               ? EXTENSION
               : byte == '\r'              ? END_OF_SIZE
                                           : BROKEN;
        break;
    case EXTENSION: next = byte == '\r' ? END_OF_SIZE : byte == '\n' ? BROKEN : EXTENSION; break;
    case END_OF_SIZE: next = byte != '\n' ? BROKEN : response->left > 0 ? CHUNK : TRAILER; break;
    case END_OF_CHUNK: next = byte == '\r' ? AFTER_CHUNK : BROKEN; break;
    case AFTER_CHUNK: next = byte == '\n' ? NO_SIZE : BROKEN; break;
    case TRAILER: next = byte == '\r' ? END_OF_TRAILER : byte == '\n' ? DONE : TRAILER_LINE; break;
    case TRAILER_LINE: next = byte == '\n' ? TRAILER : TRAILER_LINE; break;
    case END_OF_TRAILER: next = byte == '\n' ? DONE : BROKEN; break;
    default: break;
    }
    if (next == BROKEN)
        return broken(response, "a malformed chunk");
    if (next == CHUNK || next == NO_SIZE)
        response->aside = 0;
    response->state = next;
}

/*
 * Takes the bytes of the next recv. Moves those of the body to the front and returns their number.
 */
static inline size_t take(struct response *response, char *bytes, size_t len)
{
    size_t at = 0, body = 0;
    while (at < len && response->state != DONE && response->state != BROKEN) {
        size_t n = len - at;
        switch (response->state) {
        case HEAD: at += takeHead(response, bytes + at, n); break;
        case COUNTED:
        case CHUNK:
            if (n > response->left)
                n = response->left;
            response->left -= n;
            if (response->left == 0)
                response->state = response->state == CHUNK ? END_OF_CHUNK : DONE;
            __attribute__((fallthrough));
        case UNTIL_CLOSE:
            memmove(bytes + body, bytes + at, n);
            at += n;
            body += n;
            break;
        default: takeAside(response, bytes[at++]);
        }
    }
    return body;
}

/* Whether the response may end here because the server has closed the connection. */
static inline int mayEnd(const struct response *response)
{
    return response->state == DONE || response->state == UNTIL_CLOSE;
}

#endif
