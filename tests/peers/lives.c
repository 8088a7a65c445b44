/* An echo server for one message after the other, and how its life goes: lives HOW PORT. "lives client PORT" is its client. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in place(const char *port)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return place;
}

static void serve(int listener)
{
    char bytes[100];
    for (;;) {
        int sock = accept(listener, NULL, NULL);
        if (sock < 0)
            exit(1);
        ssize_t n = recv(sock, bytes, sizeof(bytes), 0);
        printf("got %zd bytes\n", n);
        send(sock, bytes, n, 0);
        close(sock);
    }
}

static void *serve_by_thread(void *listener)
{
    serve(*(int *)listener);
    return NULL;
}

int main(int argc, char *argv[])
{
    const char *how = argv[1];
    struct sockaddr_in address = place(argv[argc - 1]);
    alarm(60); /* whatever becomes of the test */
    int sock = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (!strcmp(how, "client")) {
        char bytes[100];
        if (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
            perror("connect() failed");
            return 3;
        }
        send(sock, "hello", 5, 0);
        printf("Received: %.*s\n", (int)recv(sock, bytes, sizeof(bytes), 0), bytes);
        return 0;
    }
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
        return 1;
    if (!strcmp(how, "needs-input") && getchar() == EOF)
        return 4;
    listen(sock, 5);
    if (!strcmp(how, "prints"))
        printf("waiting\n"); /* C keeps it back, if this is no terminal */
    if (!strcmp(how, "daemon")) {
        if (fork() > 0)
            return 0;
        setsid();
        if (fork() > 0)
            return 0;
    }
    if (!strcmp(how, "prefork"))
        for (int worker = 0; worker < 3; ++worker)
            if (fork() == 0)
                serve(sock);
    if (!strcmp(how, "deaf")) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
    }
    if (!strcmp(how, "busy") && fork() == 0)
        for (volatile unsigned turn = 0;; ++turn)
            continue;
    if (!strcmp(how, "stopped") && fork() == 0) {
        raise(SIGSTOP);
        pause();
    }
    if (!strcmp(how, "crowd") && fork() == 0) {
        for (int round = 0; round < 9; ++round) { /* 512 processes: a machine bears as many */
            fork();
            usleep(20000);
        }
        pause();
    }
    if (!strcmp(how, "by-thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, serve_by_thread, &sock);
        pthread_exit(NULL); /* the process goes on without its first thread */
    }
    serve(sock);
}
