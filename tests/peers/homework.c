/* homework - an echo server with one mistake that many make: it takes what one recv gives for the whole message. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 5) < 0)
        return 1;
    for (;;) {
        char message[4096];
        int client = accept(server, NULL, NULL);
        ssize_t n = recv(client, message, sizeof message, 0);
        if (n > 0)
            send(client, message, n, MSG_NOSIGNAL);
        close(client);
    }
}
