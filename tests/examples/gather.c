/* gather - looks before it receives, and answers out of three buffers in one call */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        char word[32];
        ssize_t n = must(recv(client, word, sizeof(word), MSG_PEEK), "recv");
        n = must(recv(client, word, n, MSG_WAITALL), "recv");
        struct iovec iov[3] = {{"", 0}, {word, n / 2}, {word + n / 2, n - n / 2}};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
        must(sendmsg(client, &msg, 0), "sendmsg");
        close(client);
    }
}
