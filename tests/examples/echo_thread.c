/* echo_thread - a thread for each client, which nobody waits for */
#include "example.h"

static void *serve(void *arg)
{
    int client = *(int *)arg;
    pthread_detach(pthread_self());
    free(arg);
    char buf[512];
    ssize_t n;
    while ((n = recv(client, buf, sizeof(buf), 0)) > 0)
        send(client, buf, n, 0);
    close(client);
    return NULL;
}

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        int *arg = malloc(sizeof(*arg));
        pthread_t thread;
        *arg = client;
        if ((errno = pthread_create(&thread, NULL, serve, arg)) != 0)
            must(-1, "pthread_create");
    }
}
