/* pass_descriptor - hands each connection through a pair of UNIX sockets, to whoever serves it */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]), sv[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair");
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        union {
            char buf[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {0};
        struct iovec iov = {"x", 1};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        *cmsg = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(cmsg), &client, sizeof(client));
        must(sendmsg(sv[0], &msg, 0), "sendmsg");
        close(client);

        char byte, word[64];
        iov = (struct iovec){&byte, 1};
        must(recvmsg(sv[1], &msg, 0), "recvmsg");
        memcpy(&client, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(client));
        ssize_t n = must(recv(client, word, sizeof(word), 0), "recv");
        must(send(client, word, n, 0), "send");
        close(client);
    }
}
