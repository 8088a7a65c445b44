/*
 * tcp_echo_server_fork - sends each client its own bytes back, each client by a process of its own.
 *
 * Usage: tcp_echo_server_fork [--limit N] [OPTIONS] PORT
 * Follows: "Server: one request at a time?", the answer "create a new process to handle each request".
 * Rust twin: tcp_echo_server_fork.rs. Read it beside tcp_echo_server.c.
 */
#include "common/echo.h"
#include <stdatomic.h>
#include <sys/wait.h>

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--limit N] PORT"
static unsigned limit = 1000; /* clients at a time; more wait to be accepted */
static const struct extraOption extra[] = {{"limit", NULL, &limit}, {0}};

/* Processes that serve a client now. Each that ends is counted by reap(), whatever the rest is doing. */
static atomic_uint children = 0;

static void reap(int signal);
static void waitUntilFewerThan(unsigned number);

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    int servSock = listening(SOCK_STREAM);
    struct sigaction action = {.sa_handler = reap}, before; /* what was before: nix asks for it too */
    if (sigaction(SIGCHLD, &action, &before) < 0)
        DieWithError("sigaction() failed");

    /* 4. Repeatedly: */
    for (unsigned long clients = 0; maxClients == 0 || clients < maxClients; clients++) {
        waitUntilFewerThan(limit);

        /* a. Accept a new connection. */
        struct sockaddr_in echoClntAddr;
        socklen_t clntLen = sizeof(echoClntAddr);
        int clntSock;
        while ((clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen)) < 0)
            goOnAfter("accept() failed"); /* EINTR: a child has ended */

        /* b. Communicate: a new process does, beside this one. */
        children++;
        pid_t server = getpid();
        switch (fork()) {
        case 0:
            endWith(server);
            report(&echoClntAddr, close(servSock) < 0 ? "close() failed" : NULL); /* new connections are the other's affair */
            serveClient(clntSock, &echoClntAddr);
            _exit(0); /* what exit would do besides is the parent's affair */
        case -1:
            children--;
            report(&echoClntAddr, "fork() failed"); /* this client's loss alone */
        }

        /* c. Close the connection. The child has a descriptor of its own, and the connection lives until that is closed. */
        report(&echoClntAddr, close(clntSock) < 0 ? "close() failed" : NULL);
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    waitUntilFewerThan(1);
    return 0;
}

/* On SIGCHLD: takes leave of every child that has ended, so that none stays as a zombie. One signal may stand for several. */
static void reap(int signal)
{
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        if (children > 0) /* whoever became this program may have left it a child */
            children--;
    errno = saved;
}

/* Waits until so many children are no longer there. */
static void waitUntilFewerThan(unsigned number)
{
    if (children < number)
        return;
    /* Held back meanwhile, or the last child could end between the look and the wait. */
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
