/* udp_batch - many datagrams in and out, by two calls */
#include "example.h"

#define MANY 8

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = bound(SOCK_DGRAM, argv[1]);
    for (;;) {
        static char bufs[MANY][64];
        struct sockaddr_in peers[MANY];
        struct iovec iov[MANY];
        struct mmsghdr msgs[MANY];
        memset(msgs, 0, sizeof(msgs));
        for (int i = 0; i < MANY; i++) {
            iov[i] = (struct iovec){bufs[i], sizeof(bufs[i])};
            msgs[i].msg_hdr = (struct msghdr){.msg_name = &peers[i], .msg_namelen = sizeof(peers[i]), .msg_iov = &iov[i], .msg_iovlen = 1};
        }
        int came = must(recvmmsg(sock, msgs, MANY, MSG_WAITFORONE, NULL), "recvmmsg");
        for (int i = 0; i < came; i++) {
            iov[i].iov_len = msgs[i].msg_len;
            msgs[i].msg_hdr.msg_flags = 0;
            msgs[i].msg_len = 0;
        }
        must(sendmmsg(sock, msgs, came, 0), "sendmmsg");
    }
}
