/* questions - one small server and one small client for each question that students ask; `questions NAME PORT` is the server,
 * `questions NAME PORT x` the client. Each does what the question is about, and nothing else. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int port;
static char buf[8 << 20];
enum { NONE, REUSEADDR, REUSEPORT };

static struct sockaddr_in at(const char *host, int number)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(number)};
    inet_pton(AF_INET, host, &addr.sin_addr);
    return addr;
}

static void set(int sock, int option) { setsockopt(sock, SOL_SOCKET, option, &(int){1}, sizeof(int)); }

static int bound(int type, const char *host, int options)
{
    struct sockaddr_in addr = at(host, port);
    int sock = socket(PF_INET, type, 0);
    if (options)
        set(sock, options == REUSEPORT ? SO_REUSEPORT : SO_REUSEADDR);
    return bind(sock, (void *)&addr, sizeof(addr)) == 0 ? sock : -1;
}

static int listening(const char *host, int backlog)
{
    int sock = bound(SOCK_STREAM, host, REUSEADDR);
    listen(sock, backlog);
    return sock;
}

static int accepted(void) { return accept(listening("127.0.0.1", 5), NULL, NULL); }

static int connected_at(int type, const char *host)
{
    struct sockaddr_in addr = at(host, port);
    int sock = socket(AF_INET, type, 0);
    connect(sock, (void *)&addr, sizeof(addr));
    return sock;
}

static int connected(void) { return connected_at(SOCK_STREAM, "127.0.0.1"); }

static ssize_t get(int sock) { return recv(sock, buf, 4096, 0); }

static void put(int sock, const char *text) { send(sock, text, strlen(text), 0); }

static void until_it_is_gone(int sock) { poll(&(struct pollfd){.fd = sock}, 1, 5000); }

static void limit(int sock, int ms, int option)
{
    struct timeval time = {.tv_usec = ms * 1000};
    setsockopt(sock, SOL_SOCKET, option, &time, sizeof(time));
}

static void echo(int sock)
{
    ssize_t n;
    while ((n = get(sock)) > 0)
        send(sock, buf, n, MSG_NOSIGNAL);
    close(sock);
}

static void hello(int sock)
{
    put(sock, "hello");
    get(sock);
    close(sock);
}

/* ports: who may bind what */
static void ports_server(void)
{
    int first = bound(SOCK_STREAM, "127.0.0.1", REUSEADDR);
    listen(first, 5);
    bound(SOCK_STREAM, "127.0.0.1", NONE);
    bound(SOCK_STREAM, "127.0.0.1", REUSEADDR);
    close(first);
    bound(SOCK_STREAM, "127.0.0.2", NONE);
    int one = bound(SOCK_STREAM, "127.0.0.1", REUSEPORT), other = bound(SOCK_STREAM, "127.0.0.1", REUSEPORT);
    listen(one, 5);
    listen(other, 5);
    pause();
}
static void ports_client(void) { close(connected()); }

/* old: the port is in TIME_WAIT */
static void old_server(void)
{
    int sock = bound(SOCK_STREAM, "127.0.0.1", NONE);
    listen(sock, 5);
    int client = accept(sock, NULL, NULL);
    shutdown(client, SHUT_WR);
    get(client);
    close(client);
    close(sock);
    bound(SOCK_STREAM, "127.0.0.1", NONE);
    bound(SOCK_STREAM, "127.0.0.1", REUSEADDR);
    pause();
}
static void old_client(void)
{
    int sock = connected();
    get(sock);
    close(sock);
    usleep(200000); /* the server is in its last calls */
}

/* half: one direction is closed */
static void half_server(void)
{
    int client = accepted();
    while (get(client) > 0)
        ;
    put(client, "all of it");
    close(client);
}
static void half_client(void)
{
    int sock = connected();
    put(sock, "hello");
    shutdown(sock, SHUT_WR);
    while (get(sock) > 0)
        ;
    close(sock);
}

/* unread: a close that resets */
static void unread_server(void)
{
    int client = accepted();
    recv(client, buf, 2, 0);
    close(client);
}
static void unread_client(void)
{
    int sock = connected();
    put(sock, "hello");
    get(sock);
}

/* linger: what a close with SO_LINGER of 0 throws away */
static void linger_server(void)
{
    int client = accepted();
    send(client, buf, sizeof(buf), MSG_DONTWAIT);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(client);
}
static void linger_client(void)
{
    int sock = connected();
    until_it_is_gone(sock);
    while (recv(sock, buf, sizeof(buf), 0) > 0)
        ;
}

/* sigpipe: a send that ends the program */
static void sigpipe_server(void) { close(accepted()); }
static void sigpipe_client(void)
{
    int sock = connected();
    get(sock);
    put(sock, "one");
    until_it_is_gone(sock);
    put(sock, "two");
}

/* large: parts of a stream */
static void large_server(void)
{
    int client = accepted();
    while (recv(client, buf, sizeof(buf), 0) > 0)
        ;
    put(client, "all of it");
}
static void large_client(void)
{
    int sock = connected();
    send(sock, buf, sizeof(buf), MSG_DONTWAIT);
    shutdown(sock, SHUT_WR);
    get(sock);
}

/* messages: two in one recv */
static void messages_server(void)
{
    int sock = listening("127.0.0.1", 5), client = accept(sock, NULL, NULL);
    accept(sock, NULL, NULL);
    get(client);
    put(client, "both");
}
static void messages_client(void)
{
    int sock = connected();
    put(sock, "one\n");
    put(sock, "two\n");
    connected();
    get(sock);
}

/* cut: a buffer that is too short for its datagram */
static void cut_server(void)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int sock = bound(SOCK_DGRAM, "127.0.0.1", REUSEADDR);
    recvfrom(sock, buf, 2, 0, (void *)&from, &len);
    sendto(sock, buf, 2, 0, (void *)&from, len);
}
static void cut_client(void) { hello(connected_at(SOCK_DGRAM, "127.0.0.1")); }

/* time_out: nothing comes */
static void time_out_server(void) { get(accepted()); }
static void time_out_client(void)
{
    int sock = connected();
    limit(sock, 300, SO_RCVTIMEO);
    get(sock);
}

/* full: nobody accepts */
static void full_server(void)
{
    listening("127.0.0.1", 0);
    pause();
}
static void full_client(void)
{
    for (int i = 0; i < 2; i++) {
        int sock = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in addr = at("127.0.0.1", port);
        limit(sock, 300, SO_SNDTIMEO);
        connect(sock, (void *)&addr, sizeof(addr));
    }
}

/* not_yet: a server that does not wait */
static void not_yet_server(void)
{
    int sock = listening("127.0.0.1", 5);
    fcntl(sock, F_SETFL, O_NONBLOCK);
    accept(sock, NULL, NULL);
    poll(&(struct pollfd){sock, POLLIN, 0}, 1, 5000);
    int client = accept(sock, NULL, NULL);
    recv(client, buf, 4096, MSG_DONTWAIT);
    put(client, "your turn");
    get(client);
    put(client, "thanks");
}
static void not_yet_client(void)
{
    int sock = connected();
    get(sock);
    hello(sock);
}

/* backlog: who waits in the queue */
static void backlog_server(void)
{
    int sock = listening("127.0.0.1", 5), told = bound(SOCK_DGRAM, "127.0.0.1", REUSEADDR);
    get(told);
    echo(accept(sock, NULL, NULL));
}
static void backlog_client(void)
{
    int first = connected();
    connected();
    connected();
    put(connected_at(SOCK_DGRAM, "127.0.0.1"), "all are there");
    hello(first);
}

/* names: the addresses of both ends */
static void names(int sock)
{
    struct sockaddr_in addr;
    getsockname(sock, (void *)&addr, &(socklen_t){sizeof(addr)});
    getpeername(sock, (void *)&addr, &(socklen_t){sizeof(addr)});
}
static void names_server(void)
{
    int sock = listening("0.0.0.0", 5);
    for (;;) {
        int client = accept(sock, NULL, NULL);
        names(client);
        echo(client);
    }
}
static void names_client(void)
{
    for (int i = 1; i <= 2; i++) {
        int sock = connected_at(SOCK_STREAM, i == 1 ? "127.0.0.1" : "127.0.0.2");
        names(sock);
        hello(sock);
    }
}

/* many: more connections than descriptors */
static void many_server(void)
{
    int sock = listening("127.0.0.1", 20);
    while (accept(sock, NULL, NULL) >= 0)
        ;
    pause();
}
static void many_client(void)
{
    for (int i = 0; i < 9; i++)
        connected();
}

/* swapped: no htons */
static void swapped_client(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&addr, sizeof(addr));
}

/* cast: the length of an address */
static void cast_server(void)
{
    struct sockaddr_in addr = at("127.0.0.1", port), *pointer = &addr;
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    bind(sock, (struct sockaddr *)pointer, sizeof(pointer));
    bind(sock, (struct sockaddr *)pointer, sizeof(*pointer));
    listen(sock, 5);
    echo(accept(sock, NULL, NULL));
}

/* largest: of datagrams */
static void largest_client(void)
{
    int sock = connected_at(SOCK_DGRAM, "127.0.0.1");
    send(sock, buf, 70000, 0);
    hello(sock);
}

/* stranger: its datagram reaches no connected socket */
static void stranger_server(void)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int sock = bound(SOCK_DGRAM, "127.0.0.1", REUSEADDR);
    recvfrom(sock, buf, 4096, 0, (void *)&from, &len);
    connect(sock, (void *)&from, len);
    put(sock, "you alone");
    get(sock);
    put(sock, "thanks");
}
static void stranger_client(void)
{
    int sock = connected_at(SOCK_DGRAM, "127.0.0.1");
    put(sock, "hello");
    get(sock);
    put(connected_at(SOCK_DGRAM, "127.0.0.1"), "me too");
    hello(sock);
}

/* elsewhere: the answer comes from another address than the connected one */
static void elsewhere_server(void)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int sock = bound(SOCK_DGRAM, "0.0.0.0", REUSEADDR);
    recvfrom(sock, buf, 4096, 0, (void *)&from, &len);
    sendto(sock, "hello", 5, 0, (void *)&from, len);
    pause();
}
static void elsewhere_client(void)
{
    int sock = connected_at(SOCK_DGRAM, "127.0.0.2");
    limit(sock, 300, SO_RCVTIMEO);
    hello(sock);
}

/* nobody: a datagram to a port that no socket has; the server has another one */
static void nobody_server(void)
{
    port++;
    get(bound(SOCK_DGRAM, "127.0.0.1", REUSEADDR));
}
static void nobody_client(void) { hello(connected_at(SOCK_DGRAM, "127.0.0.1")); }

/* lost: the same, and the client is not told */
static void lost_client(void)
{
    struct sockaddr_in addr = at("127.0.0.1", port);
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    limit(sock, 300, SO_RCVTIMEO);
    sendto(sock, "hello", 5, 0, (void *)&addr, sizeof(addr));
    get(sock);
}

/* left: datagrams that nobody receives */
static void left_server(void)
{
    int sock = listening("127.0.0.1", 5), told = bound(SOCK_DGRAM, "127.0.0.1", REUSEADDR);
    get(told);
    close(accept(sock, NULL, NULL));
    close(told);
}
static void left_client(void)
{
    int told = connected_at(SOCK_DGRAM, "127.0.0.1");
    put(told, "one");
    put(told, "two");
    put(told, "three");
    get(connected());
}

/* small: Nagle's algorithm and the delayed acknowledgement */
static void small_server(void)
{
    int client = accepted();
    for (int i = 0; i < 3; i++) {
        recv(client, buf, 2, MSG_WAITALL);
        recv(client, buf, 3, MSG_WAITALL);
        put(client, "thanks");
    }
    close(client);
}
static void small_client(void)
{
    int sock = connected();
    for (int i = 0; i < 3; i++) {
        put(sock, "he");
        put(sock, "llo");
        get(sock);
    }
    close(sock);
}

/* senders: both send and nobody receives */
static void senders_server(void) { send(accepted(), buf, sizeof(buf), 0); }
static void senders_client(void)
{
    int sock = connected();
    alarm(3);
    send(sock, buf, sizeof(buf), 0);
}

/* words: printf into a pipe; killed before it is full */
static void words_server(void)
{
    int sock = listening("127.0.0.1", 5);
    printf("listening\n");
    for (;;)
        echo(accept(sock, NULL, NULL));
}

/* background: a daemon */
static void background_server(void)
{
    int sock = listening("127.0.0.1", 5);
    if (daemon(1, 1) < 0)
        exit(1);
    for (;;)
        echo(accept(sock, NULL, NULL));
}

static void echo_server(void)
{
    int sock = listening("127.0.0.1", 5);
    for (;;)
        echo(accept(sock, NULL, NULL));
}
static void echo_client(void) { hello(connected()); }

static const struct {
    const char *name;
    void (*server)(void), (*client)(void);
} all[] = {
    {"ports", ports_server, ports_client},
    {"old", old_server, old_client},
    {"half", half_server, half_client},
    {"unread", unread_server, unread_client},
    {"linger", linger_server, linger_client},
    {"sigpipe", sigpipe_server, sigpipe_client},
    {"large", large_server, large_client},
    {"messages", messages_server, messages_client},
    {"cut", cut_server, cut_client},
    {"time_out", time_out_server, time_out_client},
    {"full", full_server, full_client},
    {"not_yet", not_yet_server, not_yet_client},
    {"backlog", backlog_server, backlog_client},
    {"names", names_server, names_client},
    {"many", many_server, many_client},
    {"swapped", echo_server, swapped_client},
    {"cast", cast_server, echo_client},
    {"largest", cut_server, largest_client},
    {"stranger", stranger_server, stranger_client},
    {"elsewhere", elsewhere_server, elsewhere_client},
    {"nobody", nobody_server, nobody_client},
    {"lost", nobody_server, lost_client},
    {"left", left_server, left_client},
    {"small", small_server, small_client},
    {"senders", senders_server, senders_client},
    {"words", words_server, echo_client},
    {"background", background_server, echo_client},
};

int main(int argc, char *argv[])
{
    alarm(20); /* and its children end with the run */
    port = atoi(argv[2]);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(argv[1], all[i].name) == 0)
            (argc > 3 ? all[i].client : all[i].server)();
}
