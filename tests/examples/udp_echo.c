/* udp_echo - sends each datagram back */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = bound(SOCK_DGRAM, argv[1]);
    for (;;) {
        struct sockaddr_in peer;
        socklen_t len = sizeof(peer);
        char buf[512];
        ssize_t n = must(recvfrom(sock, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len), "recvfrom");
        must(sendto(sock, buf, n, 0, (struct sockaddr *)&peer, len), "sendto");
    }
}
