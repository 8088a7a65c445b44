/*
 * tcp_echo_server_pool - sends each client its own bytes back, by threads made beforehand.
 *
 * Usage: tcp_echo_server_pool [--threads N] [--queue N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "some hybrid of these two
 * approaches". One thread accepts, N serve, and a queue is between them.
 * Rust twin: tcp_echo_server_pool.rs. Compare tcp_echo_server_thread.c.
 */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <pthread.h>    /* pthread_create(), pthread_join(), pthread_mutex_lock() */
#include <sys/socket.h> /* accept() */
#include <unistd.h>     /* close() */

#include "common/echo.h" /* listening(), smallStack(), serveClient() */

static unsigned threads = 8;   /* the arguments: each thread serves one client at a time, */
static unsigned queueSize = 8; /* and this many accepted clients may wait for one */

/* An accepted connection, on its way to a thread. */
struct connection {
    int clntSock;
    struct sockaddr_in echoClntAddr;
};

static void put(const struct connection *client);
static int next(struct connection *client);
static void *serveClients(void *unused);
static void closeQueue(void);
static void makeQueue(void);

static void serve(void)
{
    struct connection client;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM);

    /* The threads, and the queue that they take their clients from. */
    makeQueue();
    pthread_t *ids = allocate(threads * sizeof(*ids));
    pthread_attr_t attr;
    smallStack(&attr);
    for (unsigned i = 0; i < threads; i++)
        if ((errno = pthread_create(&ids[i], &attr, serveClients, NULL)) != 0)
            DieWithError("pthread_create() failed");

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    for (unsigned long long clients = 0; clients < maxClients; clients++) {
        /* a. Accept a new connection. */
        clntLen = sizeof(client.echoClntAddr); /* Set the size of the in-out parameter */
        while ((client.clntSock = acceptedFrom(
                    accept(servSock, (struct sockaddr *)&client.echoClntAddr, &clntLen),
                    &client.echoClntAddr, &clntLen)) < 0)
            recoverFrom("accept() failed");

        /*
         * The connection moves into the queue, and from there to a thread. While the queue is full,
         * no further client is accepted.
         */
        put(&client);
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    closeQueue(); /* the threads serve the remaining clients, and end */
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
}

static void *serveClients(void *unused)
{
    struct connection client;
    while (next(&client))
        /* b. Communicate, c. close the connection. */
        serveClient(client.clntSock, &client.echoClntAddr);
    return unused;
}

/* ---- The queue: a ring, the longest waiting first ---- */

static struct connection *queue;
static unsigned first = 0, waiting = 0;
static int closed = 0;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t notEmpty = PTHREAD_COND_INITIALIZER, notFull = PTHREAD_COND_INITIALIZER;

static void makeQueue(void)
{
    queue = allocate(queueSize * sizeof(*queue));
}

static void put(const struct connection *client)
{
    static int said = 0;
    pthread_mutex_lock(&mutex);
    if (waiting == queueSize && !said++)
        note("the queue of %u is full: accepting pauses", queueSize);
    while (waiting == queueSize)
        pthread_cond_wait(&notFull, &mutex);
    queue[(first + waiting) % queueSize] = *client;
    waiting++;
    pthread_mutex_unlock(&mutex);
    pthread_cond_signal(&notEmpty);
}

/* The client that has waited longest. Waits for one; returns 0 if the queue is empty and closed. */
static int next(struct connection *client)
{
    pthread_mutex_lock(&mutex);
    while (waiting == 0 && !closed)
        pthread_cond_wait(&notEmpty, &mutex);
    int found = waiting > 0;
    if (found) {
        *client = queue[first];
        first = (first + 1) % queueSize;
        waiting--;
    }
    pthread_mutex_unlock(&mutex);
    if (found)
        pthread_cond_signal(&notFull);
    return found;
}

static void closeQueue(void)
{
    pthread_mutex_lock(&mutex);
    closed = 1;
    pthread_cond_broadcast(&notEmpty);
    pthread_mutex_unlock(&mutex);
}

/* ---- Arguments ---- */

#define ARGUMENTS \
    "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--threads N] " \
    "[--queue N] PORT"

int main(int argc, char *argv[])
{
    static const struct extraOption extra[] = {
        {"threads", "limit", &threads}, {"queue", NULL, &queueSize}, {0}};
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);
    if (queueSize > USHRT_MAX)
        usage('?', argv[0], ARGUMENTS);
    serve();
    return 0;
}
