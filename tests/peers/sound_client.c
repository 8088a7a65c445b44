/* sound_client [udp] WORD PORT - an echo client without a fault: tests change one thing in it and see that `sockstep check` finds it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    char b[4096];
    int udp = argc > 3;
    const char *word = argv[argc - 2];
    size_t len = strlen(word), have = 0;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    there.sin_addr.s_addr = inet_addr("127.0.0.1");
    int sock = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    struct timeval limit = {1, 0};
    if (udp)
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(sock, (struct sockaddr *)&there, sizeof there) < 0) {
        perror("connect");
        return 1;
    }
    for (int tries = 0; tries < 3; tries++) {
        if (send(sock, word, len, 0) < 0) {
            perror("send");
            return 1;
        }
        while (have < len) {
            ssize_t n = recv(sock, b + have, sizeof b - have, 0);
            if (n < 0 && udp)
                break;
            if (n < 0) {
                perror("recv");
                return 1;
            }
            if (n == 0) {
                fprintf(stderr, "the server closed too soon\n");
                return 1;
            }
            have += n;
        }
        if (have >= len)
            break;
    }
    if (have < len) {
        fprintf(stderr, "no answer\n");
        return 1;
    }
    printf("%.*s\n", (int)have, b);
    return 0;
}
