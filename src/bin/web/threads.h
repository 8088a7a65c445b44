/*
 * web/threads.h - a thread for each client of the Web server, and a limit to their number. The Rust program has the same in
 * web/threads.rs.
 */
#ifndef WEB_THREADS_H
#define WEB_THREADS_H

#include <pthread.h>
#include <sys/resource.h>

#include "connection.h"

#define STACK (64 * 1024) /* bytes of a thread's stack: what serving a client takes, with room to spare */

/* Threads that serve a client now, and what they signal when they are done. */
static unsigned threads = 0;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static inline void count(int change)
{
    pthread_mutex_lock(&mutex);
    threads += change;
    if (change < 0)
        pthread_cond_signal(&done);
    pthread_mutex_unlock(&mutex);
}

/* Waits until the number of threads is below the limit. */
static inline void waitUntilFewerThan(unsigned limit)
{
    pthread_mutex_lock(&mutex);
    while (threads >= limit)
        pthread_cond_wait(&done, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void serveClient(struct connection *conn); /* the program's steps 2 to 5 */

static inline void *runThread(void *given)
{
    struct connection *conn = given;
    serveClient(conn);
    free(conn);
    count(-1);
    return NULL;
}

/* Serves a client in a thread of its own. If there is no thread for it, its connection is closed: its loss alone. */
static inline void inAThread(struct connection *conn)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    count(+1);
    pthread_t thread;
    errno = pthread_create(&thread, &attr, runThread, conn);
    if (errno != 0) {
        count(-1);
        warn(conn, "pthread_create() failed");
        close(conn->sock);
        free(conn);
    }
}

/*
 * A client needs two descriptors, for its connection and for its file. Raises the limit of this process as far as they need and
 * the system allows.
 */
static inline void allowDescriptors(unsigned limit)
{
    struct rlimit files;
    rlim_t wanted = limit * (rlim_t)2 + 16;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
        files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files); /* or a client may have to wait */
    }
}

#endif
