/*
 * web/access.h - who may ask the Web server: HTTP Basic (RFC 7617). The Rust program has the same
 * in web/access.rs.
 */
#ifndef WEB_ACCESS_H
#define WEB_ACCESS_H

/* A name and a password that a client must send. */
struct credentials {
    char *name;   /* NULL: each client may ask */
    char *base64; /* NAME:PASSWORD */
};

static inline char *base64(const char *bytes)
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

/* Takes NAME:PASSWORD; anything else is a bad argument. */
static inline struct credentials nameAndPassword(char *text)
{
    char *colon = strchr(text, ':');
    if (colon == NULL || strlen(text) > 255) {
        note("%s: not NAME:PASSWORD of at most 255 bytes", text);
        exit(2);
    }
    struct credentials credentials = {.name = text, .base64 = base64(text)};
    *colon = '\0';
    return credentials;
}

/*
 * Whether a header's value is the word Basic and these. Compares all bytes, so that the time does
 * not tell how many were right.
 */
static inline int credentialsAreIn(const struct credentials *own, const char *value, size_t len)
{
    unsigned char differences = 0;
    if (own->name == NULL || len != 6 + strlen(own->base64) || strncasecmp(value, "Basic ", 6) != 0)
        return 0;
    for (size_t i = 6; i < len; i++)
        differences |= value[i] ^ own->base64[i - 6];
    return differences == 0;
}

#endif
