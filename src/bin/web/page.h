/*
 * web/page.h - the output of the Web client's page: a file, or standard output, which may be a
 * terminal. The Rust program has the same in web/page.rs.
 */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

#include <fcntl.h>

static struct {
    const char *path; /* --output's; NULL: standard output */
    int file;         /* -1 until there is something to write; until then an older file is kept */
    int terminal;     /* whether standard output is one */
    char *held;       /* an incomplete character at the end of the last piece, for the terminal */
    size_t heldLen;
} page = {.file = -1};

/* Ends the program early, with a line and an exit status. */
__attribute__((format(printf, 2, 3)))
static inline _Noreturn void endEarly(int status, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (page.file >= 0)
        note("%s; the file holds the part that came before", line);
    else
        note("%s", line);
    exit(status);
}

/* DieWithError(), which also says how much the file holds. */
static inline _Noreturn void endWithError(const char *message)
{
    endEarly(1, "%s: %s", message, strerror(errno));
}

static inline void openFile(void)
{
    if (page.file < 0)
        page.file = open(page.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (page.file < 0)
        DieWithError("open() failed");
}

static inline void showOnTerminal(const char *bytes, size_t len, int last)
{
    page.held = resize(page.held, page.heldLen + len + 1);
    memcpy(page.held + page.heldLen, bytes, len);
    page.heldLen += len;
    char *text = allocate(4 * page.heldLen + 1), *end = text;
    size_t done = escapePage(page.held, page.heldLen, last, &end);
    print(text, end - text);
    free(text);
    page.heldLen -= done;
    memmove(page.held, page.held + done, page.heldLen);
}

/* Writes the next piece of the page. For a terminal, the bytes are escaped. */
static inline void showPage(const char *bytes, size_t len)
{
    if (page.terminal) {
        showOnTerminal(bytes, len, 0);
        return;
    }
    if (page.path == NULL) {
        print(bytes, len);
        return;
    }
    if (len == 0)
        return;
    openFile();
    if (writeAll(page.file, bytes, len) < 0)
        endWithError("write() failed");
}

/* Writes the rest. For an empty page, makes an empty file. */
static inline void endPage(void)
{
    if (page.terminal)
        showOnTerminal("", 0, 1);
    if (page.path == NULL)
        return;
    openFile();
    if (close(page.file) < 0)
        DieWithError("close() failed");
}

#endif
