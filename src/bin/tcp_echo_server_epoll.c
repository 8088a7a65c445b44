/*
 * tcp_echo_server_epoll - sends each client its own bytes back, all from one loop around epoll.
 *
 * Usage: tcp_echo_server_epoll [--limit N] [OPTIONS] PORT
 * Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
 * different requests", here without a process or a thread for each.
 * Rust twin: tcp_echo_server_epoll.rs. Compare tcp_echo_server_poll.c.
 */
#include <errno.h>      /* errno */
#include <netinet/in.h> /* struct sockaddr_in */
#include <sys/epoll.h>  /* epoll_create1(), epoll_ctl(), epoll_wait() */
#include <sys/socket.h> /* accept() */
#include <unistd.h>     /* close() */

#include "common/echo.h" /* listening(), struct client and what serves it */

#define EVENTS 64 /* the most that one epoll_wait reports */

static unsigned limit = 1000; /* the argument: clients at once */

/* A client, if there is one. */
struct place {
    int taken;
    struct client client;
};

static int control(int epoll, int operation, int sock, unsigned flags);
static int makePlace(struct place **clients, unsigned *places, int sock);

static void serve(void)
{
    int clntSock;
    struct sockaddr_in echoClntAddr;
    socklen_t clntLen;

    /* 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen. */
    /* As in tcp_echo_server.c: socket(), bind() and listen() are in common/echo.h. */
    int servSock = listening(SOCK_STREAM | SOCK_NONBLOCK);

    /*
     * The kernel keeps the list of what each socket waits for. The first on it is the listening
     * socket, which waits for a client.
     */
    int epoll;
    if ((epoll = epoll_create1(0)) < 0)
        DieWithError("epoll_create1() failed");
    if (control(epoll, EPOLL_CTL_ADD, servSock, EPOLLIN) < 0)
        DieWithError("epoll_ctl() failed");

    /* 4. Repeatedly: Run forever, or for --max-clients. */
    struct place *clients = NULL; /* indexed by descriptor */
    unsigned count = 0, places = 0;
    unsigned long long accepted = 0;
    int paused = 0, accepting = 1;
    long long lastLook = now();
    while (accepted < maxClients || count > 0) {
        /* While no client may be accepted, the listening socket is not watched. */
        int acceptMore = accepted < maxClients && count < limit && !paused;
        if (acceptMore != accepting) {
            accepting = acceptMore;
            if (control(epoll, EPOLL_CTL_MOD, servSock, accepting ? EPOLLIN : 0) < 0)
                DieWithError("epoll_ctl() failed");
        }

        /* Wait for all of them together. */
        struct epoll_event events[EVENTS];
        int reported = epoll_wait(epoll, events, EVENTS, longestWait(paused));
        if (reported < 0 && errno != EINTR)
            DieWithError("epoll_wait() failed");
        long long time = now();
        paused = 0;
        for (int i = 0; i < reported; i++) {
            int sock = events[i].data.u64;
            /* a. Accept a new connection. */
            if (sock == servSock) {
                clntLen = sizeof(echoClntAddr); /* Set the size of the in-out parameter */
                clntSock = accept(servSock, (struct sockaddr *)&echoClntAddr, &clntLen);
                clntSock = acceptedFrom(clntSock, &echoClntAddr, &clntLen);
                if (clntSock < 0) {
                    paused = needsPause("accept() failed");
                    continue;
                }
                accepted++;
                struct client client = newClient(&echoClntAddr, time);
                const char *failed = NULL;
                if (makePlace(&clients, &places, clntSock) < 0)
                    failed = "realloc() failed";
                else if (control(epoll, EPOLL_CTL_ADD, clntSock, EPOLLIN) < 0)
                    failed = "epoll_ctl() failed";
                if (failed != NULL) {
                    WarnWithError(&echoClntAddr, failed); /* only this client is lost */
                    closeClient(clntSock, &client);
                    continue;
                }
                clients[clntSock] = (struct place){.taken = 1, .client = client};
                count++;
                continue;
            }

            /* b. Communicate with a client that is ready; it may then wait for another event. */
            struct client *client = &clients[sock].client;
            if (!clients[sock].taken)
                continue;
            int held = holdsBytes(client);
            int more = echoSome(sock, client, time);
            if (more && holdsBytes(client) != held &&
                control(epoll, EPOLL_CTL_MOD, sock, held ? EPOLLIN : EPOLLOUT) < 0)
                DieWithError("epoll_ctl() failed");

            /* c. Close the connection, which also removes it from the list. */
            if (!more) {
                closeClient(sock, client);
                clients[sock].taken = 0;
                count--;
            }
        }

        /* Not on the slide: --idle-timeout. Checks all clients, at most once a second. */
        if (time - lastLook >= 1000) {
            lastLook = time;
            for (unsigned place = 0; place < places; place++)
                if (clients[place].taken && isIdle(&clients[place].client, time)) {
                    closeClient(place, &clients[place].client);
                    clients[place].taken = 0;
                    count--;
                }
        }
    }
    if (close(servSock) < 0 || close(epoll) < 0)
        DieWithError("close() failed");
}

/* Sets the events to report for a socket, under its descriptor's number. */
static int control(int epoll, int operation, int sock, unsigned flags)
{
    struct epoll_event event = {.events = flags, .data.u64 = sock};
    return epoll_ctl(epoll, operation, sock, &event);
}

/* Makes room for a client with this descriptor. Returns 0, or -1 without memory. */
static int makePlace(struct place **clients, unsigned *places, int sock)
{
    if ((unsigned)sock < *places)
        return 0;
    unsigned more = 2 * sock;
    struct place *larger = realloc(*clients, more * sizeof(*larger));
    if (larger == NULL)
        return -1;
    *clients = larger;
    for (; *places < more; ++*places)
        larger[*places].taken = 0;
    return 0;
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
