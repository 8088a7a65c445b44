/* reader - says a word, if it has one, and reads to the end of the answer */
#include "example.h"

int main(int argc, char *argv[])
{
    int sock = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    struct sockaddr_in server = address(argv[1], INADDR_LOOPBACK);
    must(connect(sock, (struct sockaddr *)&server, sizeof(server)), "connect");
    if (argc > 2)
        must(send(sock, argv[2], strlen(argv[2]), 0), "send");
    char buf[100];
    ssize_t n;
    while ((n = must(recv(sock, buf, sizeof(buf), 0), "recv")) > 0)
        must(write(STDOUT_FILENO, buf, n), "write");
    close(sock);
    return 0;
}
