/* sound_server [udp] PORT - an echo server without a fault: tests change one thing in it and see that `sockstep check` finds it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void nothing(int signal)
{
    (void)signal;
}

static void serve(int client)
{
    static char b[4096];
    for (;;) {
        ssize_t n = recv(client, b, sizeof b, 0);
        if (n == 0)
            return;
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        for (ssize_t done = 0; done < n;) {
            ssize_t taken = send(client, b + done, n - done, 0);
            if (taken < 0 && errno == EINTR)
                continue;
            if (taken < 0)
                return;
            done += taken;
        }
    }
}

static void answer(int server)
{
    static char b[65536];
    for (;;) {
        struct sockaddr_in client;
        socklen_t len = sizeof client;
        ssize_t n = recvfrom(server, b, sizeof b, 0, (struct sockaddr *)&client, &len);
        if (n < 0)
            continue;
        if (ntohs(client.sin_port) >= 1024)
            sendto(server, b, n, 0, (struct sockaddr *)&client, len);
    }
}

int main(int argc, char *argv[])
{
    struct sigaction handled = {.sa_handler = nothing};
    sigaction(SIGUSR1, &handled, NULL);
    signal(SIGPIPE, SIG_IGN);
    int udp = argc > 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    address.sin_addr.s_addr = inet_addr("127.0.0.1");
    int server = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0), on = 1;
    if (!udp)
        setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("bind");
        return 1;
    }
    if (udp)
        answer(server);
    if (listen(server, 5) < 0) {
        perror("listen");
        return 1;
    }
    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client < 0) {
            if (errno != EINTR)
                usleep(100000);
            continue;
        }
        serve(client);
        close(client);
    }
}
