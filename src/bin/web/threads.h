/*
 * web/threads.h - the Web server's threads: each serves one client after another, and their number
 * is limited. The Rust program has the same in web/threads.rs.
 */
#ifndef WEB_THREADS_H
#define WEB_THREADS_H

#include <pthread.h>
#include <sys/resource.h>

#define STACK (64 * 1024) /* bytes of a thread's stack: serving a client takes less */
#define OWN 16            /* descriptors kept for other purposes than clients, with some to spare */
#define SPARE 32          /* at most this many threads wait for a client; further ones end */

/* The state that all threads share. */
static struct {
    void (*work)(int servSock);
    int servSock;
    unsigned limit, threads, idle; /* idle: how many of them wait for a client */
    unsigned long clients;         /* clients still to be served for which no thread waits yet */
    int complained;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
} crew = {.mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static inline void *runThread(void *given)
{
    (void)given;
    crew.work(crew.servSock);
    return NULL;
}

/* Returns 0, or -1 with errno. */
static inline int startThread(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    if ((errno = pthread_create(&thread, &attr, runThread, NULL)) != 0)
        return -1;
    pthread_detach(thread);
    return 0;
}

/*
 * Starts the first thread, which starts others when they are needed. Returns when all have ended.
 */
static inline void runThreads(unsigned limit, unsigned long clients, void (*work)(int),
                              int servSock)
{
    crew.work = work;
    crew.servSock = servSock;
    crew.limit = limit;
    crew.threads = crew.idle = 1;
    crew.clients = clients - 1;
    if (startThread() < 0)
        DieWithError("pthread_create() failed");
    pthread_mutex_lock(&crew.mutex);
    while (crew.threads > 0)
        pthread_cond_wait(&crew.ended, &crew.mutex);
    pthread_mutex_unlock(&crew.mutex);
}

/*
 * To be called when this thread has a client. If no other thread waits for the next client, starts
 * one.
 */
static inline void haveAClient(void)
{
    pthread_mutex_lock(&crew.mutex);
    crew.idle--;
    int more = crew.idle == 0 && crew.clients > 0 && crew.threads < crew.limit;
    if (more) {
        crew.threads++;
        crew.idle++;
        crew.clients--;
    }
    pthread_mutex_unlock(&crew.mutex);
    if (!more || startThread() == 0)
        return;
    /* Then the first thread that has served its client takes the next one. */
    int why = errno;
    pthread_mutex_lock(&crew.mutex);
    crew.threads--;
    crew.idle--;
    crew.clients++;
    if (!crew.complained++)
        note("pthread_create() failed: %s", strerror(why));
    pthread_mutex_unlock(&crew.mutex);
}

/*
 * To be called when this thread has served its client: whether it takes another. It does not if all
 * clients are accounted for, or if enough threads wait.
 */
static inline int takeAnother(void)
{
    pthread_mutex_lock(&crew.mutex);
    int may = crew.clients > 0 && crew.idle < SPARE;
    if (may) {
        crew.idle++;
        crew.clients--;
    } else {
        crew.threads--;
        pthread_cond_signal(&crew.ended);
    }
    pthread_mutex_unlock(&crew.mutex);
    return may;
}

/*
 * A client needs two descriptors, for its connection and for its file. Raises the process's limit
 * of descriptors as far as needed and allowed. Returns how many clients can be served at once.
 */
static inline unsigned allowDescriptors(unsigned limit)
{
    struct rlimit files, more;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return limit;
    more = files;
    more.rlim_cur = limit * (rlim_t)2 + OWN;
    if (more.rlim_cur > more.rlim_max)
        more.rlim_cur = more.rlim_max;
    if (files.rlim_cur < more.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
        files = more;
    rlim_t places = 1;
    if (files.rlim_cur > OWN + 2)
        places = (files.rlim_cur - OWN) / 2;
    if (places >= limit)
        return limit;
    note("only %u connections at a time: this process may have %llu descriptors", (unsigned)places,
         (unsigned long long)files.rlim_cur);
    return places;
}

#endif
