/*
 * tcp_echo_server_thread - sends each client its own bytes back, each by a thread of its own.
 *
 * Usage: tcp_echo_server_thread [--limit N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "use multi-threading".
 * Rust twin: tcp_echo_server_thread.rs. Compare tcp_echo_server.c.
 */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <pthread.h>    /* pthread_create(), pthread_detach(), pthread_mutex_lock() */
#include <sys/socket.h> /* accept() */
#include <unistd.h>     /* close() */

#include "common/echo.h" /* listening(), smallStack(), serveClient() */

static unsigned limit = 1000; /* the argument: clients at once */

/* The number of threads that serve a client, and the condition that they signal at their end. */
static unsigned threads = 0;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

/* The arguments of a thread. */
struct connection {
    int clntSock;
    struct sockaddr_in echoClntAddr;
};

static void *serveConnection(void *given);
static void count(int change);
static void waitUntilFewerThan(unsigned number);

static void serve(void)
{
    struct connection new;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM);

    pthread_attr_t attr;
    smallStack(&attr);

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    for (unsigned long long clients = 0; clients < maxClients; clients++) {
        waitUntilFewerThan(limit);

        /* a. Accept a new connection. */
        clntLen = sizeof(new.echoClntAddr); /* Set the size of the in-out parameter */
        while ((new.clntSock = acceptedFrom(
                    accept(servSock, (struct sockaddr *)&new.echoClntAddr, &clntLen),
                    &new.echoClntAddr, &clntLen)) < 0)
            recoverFrom("accept() failed");

        /*
         * b. Communicate, c. close the connection: in a new thread. From now on it owns the
         * connection.
         */
        struct connection *given = malloc(sizeof(*given));
        if (given != NULL)
            *given = new;
        count(+1);
        pthread_t thread;
        int error = given == NULL ? EAGAIN : pthread_create(&thread, &attr, serveConnection, given);
        if (error == 0) {
            pthread_detach(thread);
        } else {
            count(-1);
            close(new.clntSock); /* only this client is lost */
            free(given);
            errno = error;
            WarnWithError(&new.echoClntAddr, "pthread_create() failed");
        }
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    waitUntilFewerThan(1);
}

static void *serveConnection(void *given)
{
    struct connection own = *(struct connection *)given;
    free(given);
    serveClient(own.clntSock, &own.echoClntAddr);
    count(-1);
    return NULL;
}

static void count(int change)
{
    pthread_mutex_lock(&mutex);
    threads += change;
    if (change < 0)
        pthread_cond_signal(&done);
    pthread_mutex_unlock(&mutex);
}

/* Waits until there are fewer than `number` threads. */
static void waitUntilFewerThan(unsigned number)
{
    pthread_mutex_lock(&mutex);
    while (threads >= number)
        pthread_cond_wait(&done, &mutex);
    pthread_mutex_unlock(&mutex);
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
