/* An echo server for several clients at a time. Usage: concurrent PORT. -DFORK: a process for each; -DTHREAD: a thread for each;
   -DLEAK: a child keeps the listening socket. */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void serve(int client)
{
    char buffer[100];
    ssize_t n;
    while ((n = recv(client, buffer, sizeof(buffer), 0)) > 0)
        send(client, buffer, n, 0);
    close(client);
}

#ifdef THREAD
static void *thread(void *client)
{
    serve((int)(long)client);
    return NULL;
}
#else
static void reap(int signal)
{
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}
#endif

int main(int argc, char *argv[])
{
    int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(server, 5) < 0)
        return 1;
#ifdef FORK
    struct sigaction action = {.sa_handler = reap};
    sigaction(SIGCHLD, &action, NULL);
#endif
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client < 0)
            continue;
#if defined(THREAD)
        pthread_t id;
        pthread_create(&id, NULL, thread, (void *)(long)client);
        pthread_detach(id);
#elif defined(FORK)
        if (fork() == 0) {
#ifndef LEAK
            close(server);
#endif
            serve(client);
            _exit(0);
        }
        close(client);
#else
        (void)reap;
        serve(client);
#endif
    }
}
