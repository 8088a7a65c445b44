/*
 * text.h - bytes from the network as text: upper case for the reply, escapes for a terminal or a
 * log. The Rust programs have the same in text.rs.
 */
#ifndef TEXT_H
#define TEXT_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* Reads one UTF-8 character. Returns its length; 0 if it is malformed, -1 if it is incomplete. */
static inline int utf8(const unsigned char *s, size_t len, unsigned *character)
{
    int more = s[0] < 0x80   ? 0
               : s[0] < 0xc2 ? -1
               : s[0] < 0xe0 ? 1
               : s[0] < 0xf0 ? 2
               : s[0] < 0xf5 ? 3
                             : -1;
    unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80; /* no overlong forms, */
    /* No surrogates, nothing above U+10FFFF. */
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    *character = more > 0 ? s[0] & (0x3f >> more) : s[0];
    if (more < 0)
        return 0;
    for (int i = 1; i <= more; i++) {
        if ((size_t)i == len)
            return -1;
        if (s[i] < low || s[i] > high)
            return 0;
        *character = *character << 6 | (s[i] & 0x3f);
        low = 0x80; /* the bytes after the second may be any continuation byte */
        high = 0xbf;
    }
    return more + 1;
}

/* Control characters, and Unicode characters that are invisible or change the direction of text. */
static inline int actsOnATerminal(unsigned c)
{
    return c <= 0x1f || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/*
 * Writes bytes so that a terminal shows them and executes none of them: printable text unchanged,
 * other bytes as \n, \x1b, and a backslash as \\. `out` has room for four times as many. Returns
 * its end.
 */
static inline char *escape(const char *bytes, size_t len, char *out)
{
    const unsigned char *s = (const unsigned char *)bytes, *end = s + len;
    while (s < end) {
        unsigned c = 0;
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

/*
 * Writes a piece of a page to *out as escape() does, but keeps its newlines and tabs. Returns how
 * many bytes were consumed: fewer than all if the piece ends within a character or a line ending.
 * With `last`, all are consumed.
 */
static inline size_t escapePage(const char *bytes, size_t len, int last, char **out)
{
    size_t done = 0;
    while (done < len) {
        const char *c = bytes + done;
        unsigned character;
        int n = utf8((const unsigned char *)c, len - done, &character);
        if (!last && (n < 0 || (*c == '\r' && done + 1 == len)))
            break;
        n = n > 0 ? n : 1;
        if (*c == '\n' || *c == '\t')
            *(*out)++ = *c;
        else if (*c != '\r' || done + 1 == len || c[1] != '\n')
            *out = escape(c, n, *out);
        done += n;
    }
    return done;
}

/*
 * Upper case that is longer than one character, which towupper() cannot return (Unicode's
 * SpecialCasing.txt). NULL if there is no such case.
 */
static inline const char *specialUpper(unsigned c)
{
    static const struct {
        unsigned c;
        const char *upper;
    } special[] = {
        {0x00df, "SS"}, {0x0149, "\u02bcN"}, {0x01f0, "J\u030c"}, {0x0390, "\u0399\u0308\u0301"},
        {0x03b0, "\u03a5\u0308\u0301"}, {0x0587, "\u0535\u0552"}, {0x1e96, "H\u0331"},
        {0x1e97, "T\u0308"}, {0x1e98, "W\u030a"}, {0x1e99, "Y\u030a"}, {0x1e9a, "A\u02be"},
        {0x1f50, "\u03a5\u0313"}, {0x1f52, "\u03a5\u0313\u0300"}, {0x1f54, "\u03a5\u0313\u0301"},
        {0x1f56, "\u03a5\u0313\u0342"}, {0x1fb2, "\u1fba\u0399"}, {0x1fb3, "\u0391\u0399"},
        {0x1fb4, "\u0386\u0399"}, {0x1fb6, "\u0391\u0342"}, {0x1fb7, "\u0391\u0342\u0399"},
        {0x1fbc, "\u0391\u0399"}, {0x1fc2, "\u1fca\u0399"}, {0x1fc3, "\u0397\u0399"},
        {0x1fc4, "\u0389\u0399"}, {0x1fc6, "\u0397\u0342"}, {0x1fc7, "\u0397\u0342\u0399"},
        {0x1fcc, "\u0397\u0399"}, {0x1fd2, "\u0399\u0308\u0300"}, {0x1fd3, "\u0399\u0308\u0301"},
        {0x1fd6, "\u0399\u0342"}, {0x1fd7, "\u0399\u0308\u0342"}, {0x1fe2, "\u03a5\u0308\u0300"},
        {0x1fe3, "\u03a5\u0308\u0301"}, {0x1fe4, "\u03a1\u0313"}, {0x1fe6, "\u03a5\u0342"},
        {0x1fe7, "\u03a5\u0308\u0342"}, {0x1ff2, "\u1ffa\u0399"}, {0x1ff3, "\u03a9\u0399"},
        {0x1ff4, "\u038f\u0399"}, {0x1ff6, "\u03a9\u0342"}, {0x1ff7, "\u03a9\u0342\u0399"},
        {0x1ffc, "\u03a9\u0399"}, {0xfb00, "FF"}, {0xfb01, "FI"}, {0xfb02, "FL"}, {0xfb03, "FFI"},
        {0xfb04, "FFL"}, {0xfb05, "ST"}, {0xfb06, "ST"}, {0xfb13, "\u0544\u0546"},
        {0xfb14, "\u0544\u0535"}, {0xfb15, "\u0544\u053b"}, {0xfb16, "\u054e\u0546"},
        {0xfb17, "\u0544\u053d"}
    };
    static char iota[8]; /* Greek letters with an iota subscript: the letter, then the iota */
    if (c >= 0x1f80 && c <= 0x1faf) {
        unsigned letter = (c < 0x1f90 ? 0x1f08 : c < 0x1fa0 ? 0x1f28 : 0x1f68) + (c & 7);
        sprintf(iota, "%lc\u0399", (wint_t)letter);
        return iota;
    }
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        if (special[i].c == c)
            return special[i].upper;
    return NULL;
}

/*
 * Writes bytes in upper case: a to z only or, if `unicode`, by Unicode's rules (an s sharp becomes
 * SS; bytes that are not UTF-8 stay unchanged). Returns how many bytes were consumed: fewer than
 * all if they end within a character. With `last`, all are consumed. `reply` has room for three
 * times as many bytes; *replyLen is set to its length.
 */
static inline size_t upper(const char *bytes, size_t len, int unicode, int last, char *reply,
                           size_t *replyLen)
{
    const unsigned char *s = (const unsigned char *)bytes;
    char *out = reply;
    size_t done = 0;
    while (done < len) {
        unsigned c;
        int n = unicode ? utf8(s + done, len - done, &c) : 0;
        const char *special = n > 1 ? specialUpper(c) : NULL;
        if (n < 0 && !last)
            break;
        if (special != NULL) {
            memcpy(out, special, strlen(special));
            out += strlen(special);
        } else if (n > 1)
            out += wctomb(out, towupper(c));
        else
            *out++ = toupper(s[done]);
        done += n > 0 ? n : 1;
    }
    *replyLen = out - reply;
    return done;
}

#endif
