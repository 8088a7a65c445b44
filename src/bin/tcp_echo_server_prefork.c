/*
 * tcp_echo_server_prefork - sends each client its own bytes back, by processes that are there before the clients.
 *
 * Usage: tcp_echo_server_prefork [--workers N] [OPTIONS] PORT
 * Follows: "Server: one request at a time?", the answer "or some hybrid": N processes made beforehand, all in accept.
 * Rust twin: tcp_echo_server_prefork.rs. Read it beside tcp_echo_server.c and tcp_echo_server_fork.c.
 */
#include "common/echo.h"
#include <sys/eventfd.h>
#include <sys/wait.h>

#define EARLY 1000 /* milliseconds: a worker that dies younger than this was not killed by chance */
#define SETBACKS 6 /* so many of them in a row, and the server gives up */

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--workers N] PORT"
static unsigned workers = 8; /* processes, each of which serves one client at a time */
static const struct extraOption extra[] = {{"workers", "limit", &workers}, {0}};

struct worker {
    pid_t pid;
    long long started;
};

static int tickets(void);
static void startWorker(struct worker *worker, int servSock, int ticketFd);
static void pauseAfterSetback(unsigned *setbacks);
static long long milliseconds(void);

/* Starts the workers, and others for those that die, until all have done their work. */
int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    int servSock = listening(SOCK_STREAM);
    int ticketFd = maxClients > 0 ? tickets() : -1;

    /* The workers, all of which do step 4. */
    struct worker *worker = allocate(workers * sizeof(*worker));
    for (unsigned i = 0; i < workers; i++) {
        startWorker(&worker[i], servSock, ticketFd);
        if (worker[i].pid < 0)
            DieWithError("fork() failed");
    }

    unsigned setbacks = 0;
    while (workers > 0) {
        int status;
        pid_t pid = wait(&status);
        if (pid < 0)
            DieWithError("wait() failed");
        unsigned place = 0;
        while (place < workers && worker[place].pid != pid)
            place++;
        if (place == workers)
            continue; /* a child of whoever became this program */
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            worker[place] = worker[--workers]; /* no client is left for it */
            continue;
        }
        if (WIFSIGNALED(status))
            note("worker %d: killed by signal %d", pid, WTERMSIG(status));
        else
            note("worker %d: exited with %d", pid, WEXITSTATUS(status));

        /* Another in its place: at once, or, after one that died early, later and later. */
        if (milliseconds() - worker[place].started >= EARLY)
            setbacks = 0;
        else
            pauseAfterSetback(&setbacks);
        for (;;) {
            startWorker(&worker[place], servSock, ticketFd);
            if (worker[place].pid > 0)
                break;
            note("fork() failed: %s", strerror(errno));
            pauseAfterSetback(&setbacks);
        }
    }
    if (close(servSock) < 0 || (ticketFd >= 0 && close(ticketFd) < 0))
        DieWithError("close() failed");
    return 0;
}

/* After a setback: twice as long as after the one before. Gives up when there are too many. */
static void pauseAfterSetback(unsigned *setbacks)
{
    ++*setbacks;
    if (*setbacks == SETBACKS) {
        note("%d workers in a row died early: giving up", SETBACKS);
        exit(1);
    }
    long pause = 50L << *setbacks; /* 100, 200, ... 1600 */
    struct timespec time = {.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * 1000000};
    while (nanosleep(&time, &time) < 0)
        continue;
}

static long long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* Whether there is one more client to be served. */
static int takeOne(int ticketFd)
{
    unsigned long long one;
    if (ticketFd < 0 || read(ticketFd, &one, sizeof(one)) == sizeof(one))
        return 1;
    if (errno != EAGAIN)
        DieWithError("read() failed");
    return 0;
}

/* A process that serves clients until there are no more tickets, if there are tickets, or else for ever. */
static void startWorker(struct worker *worker, int servSock, int ticketFd)
{
    pid_t server = getpid();
    worker->started = milliseconds();
    if ((worker->pid = fork()) != 0)
        return;
    endWith(server);

    /* 4. Repeatedly: */
    while (takeOne(ticketFd)) {
        /* a. Accept a new connection: the kernel gives it to one of those that wait. */
        struct sockaddr_in echoClntAddr;
        socklen_t clntLen = sizeof(echoClntAddr);
        int clntSock;
        while ((clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen)) < 0)
            goOnAfter("accept() failed");

        /* b. Communicate, c. close the connection. */
        serveClient(clntSock, &echoClntAddr);
    }
    exit(0);
}

/* --max-clients, counted by all workers together: a number that the kernel keeps, one less for each that is read. */
static int tickets(void)
{
    unsigned long long all = maxClients;
    int ticketFd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    if (ticketFd < 0)
        DieWithError("eventfd() failed");
    if (write(ticketFd, &all, sizeof(all)) != sizeof(all))
        DieWithError("write() failed");
    return ticketFd;
}
