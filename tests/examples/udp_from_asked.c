/* udp_from_asked - an answer leaves from the address that was asked, by IP_PKTINFO */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = bound(SOCK_DGRAM, argv[1]), on = 1;
    must(setsockopt(sock, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)), "setsockopt");
    for (;;) {
        char buf[512];
        union {
            char buf[CMSG_SPACE(sizeof(struct in_pktinfo))];
            struct cmsghdr align;
        } control = {0};
        struct sockaddr_in peer;
        struct iovec iov = {buf, sizeof(buf)};
        struct msghdr msg = {.msg_name = &peer, .msg_namelen = sizeof(peer), .msg_iov = &iov, .msg_iovlen = 1,
                             .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
        iov.iov_len = must(recvmsg(sock, &msg, 0), "recvmsg");
        struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(CMSG_FIRSTHDR(&msg));
        info->ipi_spec_dst = info->ipi_addr;
        msg.msg_flags = 0;
        must(sendmsg(sock, &msg, 0), "sendmsg");
    }
}
