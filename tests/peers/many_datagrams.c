/*
 * many_datagrams - what two UDP echo servers do under the same load, in turns: 64 datagrams are under way, sent and taken by one
 * call each. By hand; the figures stand in ffi-notes.md.
 *
 * Usage: many_datagrams ROUNDS 'SERVER PORT-0-ARGUMENTS' 'ANOTHER'
 *
 * All share one core. The client has real-time priority if it may, so that a server runs when 64 wait.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 64
#define SLICE 0.02 /* seconds for one server before the other has its turn */

static struct {
    pid_t pid;
    int sock;
} servers[2];

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    for (int i = 0; i < 2; i++)
        if (servers[i].pid > 0)
            kill(servers[i].pid, SIGKILL);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Seconds that the server has been on a processor. */
static double busy(int i)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/schedstat", servers[i].pid);
    FILE *file = fopen(path, "r");
    must(file != NULL && fscanf(file, "%llu", &ns) == 1, path);
    fclose(file);
    return ns * 1e-9;
}

/* Starts a server, and connects a socket to where it says that it listens. */
static void start(int i, const char *command)
{
    int fds[2], port;
    char line[256], exec[1024];
    snprintf(exec, sizeof(exec), "exec %s", command);
    must(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    if ((servers[i].pid = fork()) == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", exec, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    must(out != NULL && fgets(line, sizeof(line), out) != NULL && strrchr(line, ':') != NULL, command);
    port = atoi(strrchr(line, ':') + 1);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 5};
    servers[i].sock = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(servers[i].sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    must(connect(servers[i].sock, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect");
}

/* One turn: datagrams a second, and in *cpu the server's time for each. */
static double turn(int i, double *cpu)
{
    static char bytes[MANY][64];
    struct mmsghdr messages[MANY];
    struct iovec iov[MANY];
    double begun = now(), before = busy(i);
    long count = 0;
    do {
        for (int k = 0; k < MANY; k++) {
            iov[k] = (struct iovec){bytes[k], sizeof(bytes[k])};
            messages[k] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[k], .msg_iovlen = 1}};
        }
        for (int n, done = 0; done < MANY; done += n)
            must((n = sendmmsg(servers[i].sock, messages + done, MANY - done, 0)) > 0, "sendmmsg");
        for (int n, done = 0; done < MANY; done += n)
            must((n = recvmmsg(servers[i].sock, messages, MANY - done, MSG_WAITFORONE, NULL)) > 0, "recvmmsg");
        count += MANY;
    } while (now() - begun < SLICE);
    *cpu = (busy(i) - before) / count;
    return count / (now() - begun);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show(const char *what, double *ratios, int rounds)
{
    qsort(ratios, rounds, sizeof(*ratios), ascending);
    printf("%s %.3f %.3f-%.3f\n", what, ratios[rounds / 2], ratios[rounds / 10], ratios[rounds * 9 / 10]);
}

int main(int argc, char *argv[])
{
    cpu_set_t one;
    struct sched_param first = {.sched_priority = 1};
    int rounds = argc == 4 ? atoi(argv[1]) : 0;
    if (rounds < 10 || rounds > 10000) {
        fprintf(stderr, "usage: %s ROUNDS SERVER ANOTHER (10 to 10000 rounds)\n", argv[0]);
        return 2;
    }
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    for (int i = 0; i < 2; i++)
        start(i, argv[2 + i]);
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
        fprintf(stderr, "without real-time priority: a server may run before 64 wait\n");

    double rate[2], cpu[2], *rates = calloc(rounds, sizeof(*rates)), *cpus = calloc(rounds, sizeof(*cpus));
    for (int round = 0; round < rounds; round++) {
        int i = rand() & 1;
        rate[i] = turn(i, &cpu[i]);
        rate[!i] = turn(!i, &cpu[!i]);
        rates[round] = rate[1] / rate[0];
        cpus[round] = cpu[0] / cpu[1];
    }
    show("datagrams a second, second / first            ", rates, rounds);
    show("datagrams a second of its CPU, second / first ", cpus, rounds);
    for (int i = 0; i < 2; i++) {
        kill(servers[i].pid, SIGTERM);
        waitpid(servers[i].pid, NULL, 0);
    }
    return 0;
}
