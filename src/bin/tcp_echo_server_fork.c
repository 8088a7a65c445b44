/*
 * tcp_echo_server_fork - sends each client its own bytes back, each by a process of its own.
 *
 * Usage: tcp_echo_server_fork [--limit N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "start a new process to handle
 * each request".
 * Rust twin: tcp_echo_server_fork.rs. Compare tcp_echo_server.c.
 */
#include <netinet/in.h> /* struct sockaddr_in */
#include <signal.h>     /* sigaction(), sigsuspend() */
#include <stdatomic.h>  /* atomic_uint, atomic_bool */
#include <sys/socket.h> /* accept() */
#include <sys/wait.h>   /* waitpid() */
#include <unistd.h>     /* fork(), close(), _exit() */

#include "common/echo.h" /* listening(), serveClient(), endWithParent() */

static unsigned limit = 1000; /* the argument: clients at once */

/* The number of processes that serve a client. A signal handler, reap(), lowers it. */
static atomic_uint children = 0;
/* Whether reap() was called since this was last asked. */
static atomic_bool ended = 0;

static void reap(int signal);
static void waitUntilFewerThan(unsigned number);

static void serve(void)
{
    int clntSock;
    struct sockaddr_in echoClntAddr;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM);

    /* Not on the slide: a child that has ended stays as a zombie until it is waited for. */
    struct sigaction action = {.sa_handler = reap}, before; /* nix, too, asks for the old action */
    if (sigaction(SIGCHLD, &action, &before) < 0)
        DieWithError("sigaction() failed");

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    for (unsigned long long clients = 0; clients < maxClients; clients++) {
        waitUntilFewerThan(limit);

        /* a. Accept a new connection. */
        clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
        while ((clntSock = acceptedFrom(
                    accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen),
                    &echoClntAddr, &clntLen)) < 0)
            if (errno != EINTR || !atomic_exchange(&ended, 0)) /* a child has ended */
                recoverFrom("accept() failed");

        /* b. Communicate, in a new process. */
        children++;
        pid_t server = getpid();
        switch (fork()) {
        case 0:
            endWithParent(server);
            if (close(servSock) < 0) /* only the parent accepts */
                WarnWithError(&echoClntAddr, "close() failed");
            serveClient(clntSock, &echoClntAddr);
            _exit(0); /* the rest of exit is for the parent only */
        case -1:
            children--;
            WarnWithError(&echoClntAddr, "fork() failed"); /* only this client is lost */
        }

        /*
         * c. Close the connection. The child has a descriptor of its own, and the connection lives
         * until that is closed.
         */
        if (close(clntSock) < 0)
            WarnWithError(&echoClntAddr, "close() failed");
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    waitUntilFewerThan(1);
}

/* On SIGCHLD: waits for every child that has ended. One signal may stand for several. */
static void reap(int signal)
{
    int saved = errno;
    (void)signal;
    ended = 1;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        if (children > 0) /* this process may have had a child before exec */
            children--;
    errno = saved;
}

/* Waits until there are fewer than `number` children. */
static void waitUntilFewerThan(unsigned number)
{
    if (children < number)
        return;
    /* Blocked until sigsuspend: otherwise the last child could end before the wait begins. */
    sigset_t sigchld, before;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &sigchld, &before) < 0)
        DieWithError("sigprocmask() failed");
    while (children >= number)
        sigsuspend(&before);
    if (sigprocmask(SIG_SETMASK, &before, NULL) < 0)
        DieWithError("sigprocmask() failed");
}

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--limit N] PORT"

int main(int argc, char *argv[])
{
    static const struct extraOption extra[] = {{"limit", NULL, &limit}, {0}};
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);
    serve();
    return 0;
}
