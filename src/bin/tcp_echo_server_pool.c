/*
 * tcp_echo_server_pool - sends each client its own bytes back, by threads that are there before the clients.
 *
 * Usage: tcp_echo_server_pool [--threads N] [--queue N] [OPTIONS] PORT
 * Follows: "Server: one request at a time?", the answer "or some hybrid": one thread accepts, N serve, a queue between them.
 * Rust twin: tcp_echo_server_pool.rs. Read it beside tcp_echo_server_thread.c.
 */
#include "common/echo.h"
#include <pthread.h>

#define ARGUMENTS "[--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] [--threads N] [--queue N] PORT"
static unsigned threads = 8;   /* each of which serves one client at a time */
static unsigned queueSize = 8; /* accepted clients that may wait for a thread; more wait to be accepted */
static const struct extraOption extra[] = {{"threads", "limit", &threads}, {"queue", NULL, &queueSize}, {0}};

/* An accepted connection, on its way to a thread. */
struct connection {
    int clntSock;
    struct sockaddr_in echoClntAddr;
};

/* The queue: a ring, the longest waiting first. */
static struct connection *queue;
static unsigned first = 0, waiting = 0;
static int closed = 0;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t notEmpty = PTHREAD_COND_INITIALIZER, notFull = PTHREAD_COND_INITIALIZER;

static void put(const struct connection *client);
static int next(struct connection *client);

static void *serveClients(void *unused)
{
    struct connection client;
    while (next(&client))
        serveClient(client.clntSock, &client.echoClntAddr); /* b. Communicate, c. close the connection. */
    return unused;
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv, extra, ARGUMENTS);
    if (queueSize > USHRT_MAX)
        usage('?', argv[0], ARGUMENTS);

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    int servSock = listening(SOCK_STREAM);

    /* The threads, and the queue that they take their clients from. */
    queue = allocate(queueSize * sizeof(*queue));
    pthread_t *ids = allocate(threads * sizeof(*ids));
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    for (unsigned i = 0; i < threads; i++)
        if ((errno = pthread_create(&ids[i], &attr, serveClients, NULL)) != 0)
            DieWithError("pthread_create() failed");

    /* 4. Repeatedly: */
    for (unsigned long clients = 0; maxClients == 0 || clients < maxClients; clients++) {
        /* a. Accept a new connection. */
        struct connection client;
        socklen_t clntLen = sizeof(client.echoClntAddr);
        while ((client.clntSock = accept(servSock, (struct sockaddr *)&client.echoClntAddr, &clntLen)) < 0)
            goOnAfter("accept() failed");

        /* It goes into the queue, and out of it to a thread. While the queue is full, nobody else is accepted. */
        put(&client);
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
    pthread_mutex_lock(&mutex);
    closed = 1; /* the threads serve what is left, and end */
    pthread_cond_broadcast(&notEmpty);
    pthread_mutex_unlock(&mutex);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return 0;
}

static void put(const struct connection *client)
{
    static int said = 0;
    pthread_mutex_lock(&mutex);
    if (waiting == queueSize && !said++)
        note("the queue of %u is full: accepting pauses", queueSize);
    while (waiting == queueSize)
        pthread_cond_wait(&notFull, &mutex);
    queue[(first + waiting++) % queueSize] = *client;
    pthread_cond_signal(&notEmpty);
    pthread_mutex_unlock(&mutex);
}

/* The client that has waited longest. Waits for one; returns 0 if the queue is empty and closed. */
static int next(struct connection *client)
{
    pthread_mutex_lock(&mutex);
    while (waiting == 0 && !closed)
        pthread_cond_wait(&notEmpty, &mutex);
    int one = waiting > 0;
    if (one) {
        *client = queue[first];
        first = (first + 1) % queueSize;
        waiting--;
        pthread_cond_signal(&notFull);
    }
    pthread_mutex_unlock(&mutex);
    return one;
}
