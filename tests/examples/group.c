/* group - a member of a multicast group, which tells the group and the sender */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = bound(SOCK_DGRAM, argv[1]), ttl = 1, loop = 0;
    struct ip_mreq mreq;
    mreq.imr_multiaddr.s_addr = inet_addr("239.255.77.7");
    mreq.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
    must(setsockopt(sock, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)), "setsockopt");
    must(setsockopt(sock, IPPROTO_IP, IP_MULTICAST_IF, &mreq.imr_interface, sizeof(mreq.imr_interface)), "setsockopt");
    must(setsockopt(sock, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)), "setsockopt");
    must(setsockopt(sock, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop)), "setsockopt");
    struct sockaddr_in group = address("9", 0xefff4d07);
    for (;;) {
        struct sockaddr_in peer;
        socklen_t len = sizeof(peer);
        char buf[512];
        ssize_t n = must(recvfrom(sock, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len), "recvfrom");
        must(sendto(sock, buf, n, 0, (struct sockaddr *)&group, sizeof(group)), "sendto");
        must(sendto(sock, buf, n, 0, (struct sockaddr *)&peer, len), "sendto");
    }
}
