/* Makes blocking calls on stream sockets do less than they are asked to, as a signal or a full buffer may:
 * SOCKSTEP_FORCE=short takes a few bytes at a time, SOCKSTEP_FORCE=eintr fails every other call that would wait
 * with EINTR.
 * SOCKSTEP_FORCE="at recv 1 2 2 1" makes each thread's second recv on a socket, of whatever kind, one byte long: a call, a
 * length, the first and the last of these calls and the step from one to the next, for as many calls as are named. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Shared with the tool: calls that did less, calls, and signal handlers without SA_RESTART. */
static unsigned long nowhere[3], *count = nowhere;
static int make_short, make_eintr;

enum call { RECV, READ, SEND, WRITE, CALLS };
static const char *const names[CALLS] = {"recv", "read", "send", "write"};
static struct { unsigned long len, first, last, step; } at[CALLS]; /* len 0: not asked for */
static int make_at;

static void read_at(const char *how)
{
    char name[8];
    int used;
    unsigned long len, first, last, step;
    while (sscanf(how, " %7s %lu %lu %lu %lu%n", name, &len, &first, &last, &step, &used) == 5) {
        for (int call = 0; call < CALLS; call++)
            if (strcmp(name, names[call]) == 0 && step > 0) {
                at[call].len = len;
                at[call].first = first;
                at[call].last = last;
                at[call].step = step;
                make_at = 1;
            }
        how += used;
    }
}

__attribute__((constructor)) static void begin(void)
{
    const char *how = getenv("SOCKSTEP_FORCE"), *path = getenv("SOCKSTEP_COUNT");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (how == NULL || page == MAP_FAILED)
        return;
    count = page;
    make_short = strcmp(how, "short") == 0;
    make_eintr = strcmp(how, "eintr") == 0;
    if (strncmp(how, "at ", 3) == 0)
        read_at(how + 3);
}

/* Only where the kernel may do the same: a stream, and a call that waits. */
static int waits(int fd, int flags)
{
    int saved = errno, type = 0, status = fcntl(fd, F_GETFL);
    socklen_t len = sizeof type;
    __atomic_add_fetch(&count[1], 1, __ATOMIC_RELAXED);
    int stream = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
    errno = saved;
    return stream && status >= 0 && !(status & O_NONBLOCK) && !(flags & MSG_DONTWAIT);
}

enum wait { FOR_A_CLIENT, FOR_BYTES, FOR_ROOM };

static int interrupted(int fd, int flags, enum wait what)
{
    static __thread unsigned turns[3]; /* each for itself, or the other calls would say whose turn it is */
    unsigned *turn = &turns[what];
    if (!make_eintr || !waits(fd, flags))
        return 0;
    struct pollfd at = {fd, what == FOR_ROOM ? POLLOUT : POLLIN, 0};
    int saved = errno, ready = poll(&at, 1, 0);
    errno = saved;
    if (ready != 0 || (*turn)++ % 2 != 0)
        return 0; /* what is done at once is not interrupted */
    __atomic_add_fetch(&count[0], 1, __ATOMIC_RELAXED);
    errno = EINTR;
    return 1;
}

static int is_socket(int fd)
{
    struct stat status;
    int saved = errno, is = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    errno = saved;
    return is;
}

/* Counts this call of the thread, and says how long it is to be. */
static size_t length_at(enum call call, int fd, size_t len)
{
    static __thread unsigned long turn[CALLS];
    if (at[call].len == 0 || ((call == READ || call == WRITE) && !is_socket(fd)))
        return len;
    unsigned long now = ++turn[call];
    if (now < at[call].first || now > at[call].last || (now - at[call].first) % at[call].step != 0 || at[call].len >= len)
        return len;
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    return at[call].len;
}

static size_t shorter(enum call call, int fd, int flags, size_t len)
{
    static const size_t sizes[] = {1, 7, 100, 3, 1000, 2};
    static __thread unsigned turn;
    if (make_at)
        return length_at(call, fd, len);
    if (!make_short || len < 2 || (flags & (MSG_PEEK | MSG_WAITALL)) || !waits(fd, flags))
        return len;
    size_t less = sizes[turn++ % 6];
    if (less >= len)
        return len;
    __atomic_add_fetch(&count[0], 1, __ATOMIC_RELAXED);
    return less;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    return interrupted(fd, flags, FOR_BYTES) ? -1 : REAL(recv)(fd, buf, shorter(RECV, fd, flags, len), flags);
}

ssize_t recvfrom(int fd, void *buf, size_t len, int flags, __SOCKADDR_ARG addr, socklen_t *addrlen)
{
    return interrupted(fd, flags, FOR_BYTES) ? -1 : REAL(recvfrom)(fd, buf, shorter(RECV, fd, flags, len), flags, addr, addrlen);
}

ssize_t read(int fd, void *buf, size_t len)
{
    return interrupted(fd, 0, FOR_BYTES) ? -1 : REAL(read)(fd, buf, shorter(READ, fd, 0, len));
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
    (void)room;
    return recv(fd, buf, len, flags);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
    (void)room;
    return read(fd, buf, len);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    return interrupted(fd, flags, FOR_ROOM) ? -1 : REAL(send)(fd, buf, shorter(SEND, fd, flags, len), flags);
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, __CONST_SOCKADDR_ARG addr, socklen_t addrlen)
{
    return interrupted(fd, flags, FOR_ROOM) ? -1 : REAL(sendto)(fd, buf, shorter(SEND, fd, flags, len), flags, addr, addrlen);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    return interrupted(fd, 0, FOR_ROOM) ? -1 : REAL(write)(fd, buf, shorter(WRITE, fd, 0, len));
}

int accept(int fd, __SOCKADDR_ARG addr, socklen_t *addrlen)
{
    return interrupted(fd, 0, FOR_A_CLIENT) ? -1 : REAL(accept)(fd, addr, addrlen);
}

int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *addrlen, int flags)
{
    return interrupted(fd, 0, FOR_A_CLIENT) ? -1 : REAL(accept4)(fd, addr, addrlen, flags);
}

/* signal() of this library sets SA_RESTART, and does not come by here. */
int sigaction(int number, const struct sigaction *act, struct sigaction *old)
{
    if (act != NULL && act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN && !(act->sa_flags & SA_RESTART))
        __atomic_add_fetch(&count[2], 1, __ATOMIC_RELAXED);
    return REAL(sigaction)(number, act, old);
}
