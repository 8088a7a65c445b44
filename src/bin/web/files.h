/*
 * web/files.h - opens the file of a name. The Rust program has the same in web/files.rs, and also
 * lists directories.
 */
#ifndef WEB_FILES_H
#define WEB_FILES_H

#include <sys/stat.h>
#include <sys/syscall.h>

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#else /* musl has no kernel headers */
struct open_how {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_BENEATH 0x08
#endif

#include "connection.h"

/* The source of a response's body. */
struct resource {
    int fd; /* -1: no body */
    off_t size;
    time_t modified;
};

/* Opens the directory whose files are served. */
static inline void openRoot(const char *path)
{
    site.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (site.root < 0)
        DieWithError("open() failed");
}

/*
 * Opens the file of the connection's name, or returns the status to refuse with. A symbolic link
 * cannot lead out of the root.
 */
static inline int openBeneath(struct connection *conn, int flag, int *fd)
{
    /* Non-blocking: opening a named pipe would otherwise wait for a writer. */
    struct open_how how = {.flags = flag | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    const char *name = *conn->name ? conn->name : ".";
    int tries = 0;
    do
        *fd = syscall(SYS_openat2, site.root, name, &how, sizeof(how));
    while (*fd < 0 && errno == EAGAIN && ++tries < 10); /* something was renamed at that moment */
    if (*fd >= 0)
        return 200;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return 404;
    /* Not readable, outside the root, a loop of links, a socket or a device without a driver. */
    case EACCES:
    case EPERM:
    case EXDEV:
    case ELOOP:
    case ENXIO:
    case ENODEV:
        return 403;
    default:
        warn(conn, "openat2() failed");
        return 500;
    }
}

/*
 * Opens the file that the connection's name means: for a directory, its index.html. Returns 200, or
 * why not.
 */
static inline int openResource(struct connection *conn, struct resource *found)
{
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
        return 403; /* the directory exists, but its names are not shown */
    }
    if (status != 200)
        return status;
    struct stat about;
    if (fstat(fd, &about) < 0) {
        warn(conn, "fstat() failed");
        close(fd);
        return 500;
    }
    if (S_ISREG(about.st_mode)) {
        time_t seconds = time(NULL);
        found->fd = fd;
        found->size = about.st_size;
        /* A time in the future must not be sent. */
        found->modified = about.st_mtime < seconds ? about.st_mtime : seconds;
        return 200;
    }
    close(fd);
    if (S_ISDIR(about.st_mode) && !isDirectory)
        /* Redirect to the name with a slash, to which the links in its pages are relative. */
        return 301;
    return 403;     /* a pipe, a device */
}

#endif
