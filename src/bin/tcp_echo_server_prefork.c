/*
 * tcp_echo_server_prefork - sends each client its own bytes back, by processes made beforehand.
 *
 * Usage: tcp_echo_server_prefork [--workers N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "some hybrid of these two
 * approaches". N processes are made beforehand, and all of them accept.
 * Rust twin: tcp_echo_server_prefork.rs. Compare tcp_echo_server_fork.c.
 */
#include <errno.h>       /* errno */
#include <netinet/in.h>  /* struct sockaddr_in */
#include <sys/eventfd.h> /* eventfd() */
#include <sys/socket.h>  /* accept() */
#include <sys/wait.h>    /* wait() */
#include <unistd.h>      /* fork(), close(), read(), write() */

#include "common/echo.h" /* listening(), serveClient(), endWithParent() */

#define EARLY 1000 /* milliseconds: a worker that dies younger was not killed by accident */
#define SETBACKS 6 /* early deaths in a row after which the server gives up */

static unsigned workers = 8; /* the argument: processes that each serve one client at a time */

struct worker {
    pid_t pid;
    long long started;
};

static int makeTickets(void);
static void startWorker(struct worker *worker, int servSock, int tickets);
static void pauseAfterSetback(unsigned *setbacks, struct worker worker[]);
static long long milliseconds(void);

/* Starts the workers, and replaces those that die, until all clients are served. */
static void supervise(void)
{
    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM);
    int tickets = makeTickets();

    /* The workers, all of which do step 4. */
    struct worker *worker = allocate(workers * sizeof(*worker));
    for (unsigned i = 0; i < workers; i++) {
        startWorker(&worker[i], servSock, tickets);
        if (worker[i].pid < 0)
            DieWithError("fork() failed");
    }

    unsigned setbacks = 0;
    while (workers > 0) {
        int status;
        pid_t pid = wait(&status);
        if (pid < 0 && errno == EINTR)
            continue; /* after SIGSTOP and SIGCONT */
        if (pid < 0)
            DieWithError("wait() failed");
        unsigned place = 0;
        while (place < workers && worker[place].pid != pid)
            place++;
        if (place == workers)
            continue; /* a child from before exec */
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            worker[place] = worker[--workers]; /* no client is left to serve */
            continue;
        }
        if (WIFSIGNALED(status))
            note("worker %d: killed by signal %d", pid, WTERMSIG(status));
        else
            note("worker %d: exited with %d", pid, WEXITSTATUS(status));

        /* Starts a new one: at once or, after an early death, after a growing pause. */
        if (milliseconds() - worker[place].started >= EARLY)
            setbacks = 0;
        else
            pauseAfterSetback(&setbacks, worker);
        for (;;) {
            startWorker(&worker[place], servSock, tickets);
            if (worker[place].pid > 0)
                break;
            note("fork() failed: %s", strerror(errno));
            pauseAfterSetback(&setbacks, worker);
        }
    }
    if (close(servSock) < 0 || (tickets >= 0 && close(tickets) < 0))
        DieWithError("close() failed");
}

/* Pauses after a setback, each time twice as long. Gives up after too many. */
static void pauseAfterSetback(unsigned *setbacks, struct worker worker[])
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
    for (unsigned i = 0; i < workers; i++)
        worker[i].started += pause; /* a worker that died during the pause counts as young */
}

static long long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* Whether one more client may be served. */
static int takeOne(int tickets)
{
    unsigned long long one;
    if (tickets < 0 || read(tickets, &one, sizeof(one)) == sizeof(one))
        return 1;
    if (errno != EAGAIN)
        DieWithError("read() failed");
    return 0;
}

/* A process that serves clients while there are tickets; without --max-clients, without end. */
static void startWorker(struct worker *worker, int servSock, int tickets)
{
    int clntSock;
    struct sockaddr_in echoClntAddr;
    socklen_t clntLen;
    pid_t server = getpid();
    worker->started = milliseconds();
    if ((worker->pid = fork()) != 0)
        return;
    endWithParent(server);

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    while (takeOne(tickets)) {
        /* a. Accept a new connection: the kernel gives it to one of the waiting workers. */
        clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
        while ((clntSock = acceptedFrom(
                    accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen),
                    &echoClntAddr, &clntLen)) < 0)
            recoverFrom("accept() failed");

        /* b. Communicate, c. close the connection. */
        serveClient(clntSock, &echoClntAddr);
    }
    exit(0);
}

/*
 * --max-clients, counted by all workers together: an eventfd, a number in the kernel that each read
 * lowers by one. Returns its descriptor, or -1 without --max-clients.
 */
static int makeTickets(void)
{
    if (maxClients == ULLONG_MAX)
        return -1;
    int tickets = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    if (tickets < 0)
        DieWithError("eventfd() failed");
    if (write(tickets, &maxClients, sizeof(maxClients)) != sizeof(maxClients))
        DieWithError("write() failed");
    return tickets;
}

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--workers N] PORT"

int main(int argc, char *argv[])
{
    static const struct extraOption extra[] = {{"workers", "limit", &workers}, {0}};
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);
    supervise();
    return 0;
}
