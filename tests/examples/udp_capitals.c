/* udp_capitals - ten bytes of each datagram in capitals, to an address of any family */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = bound(SOCK_DGRAM, argv[1]);
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        char buf[10];
        ssize_t n = must(recvfrom(sock, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len), "recvfrom");
        for (ssize_t i = 0; i < n; i++)
            buf[i] = toupper((unsigned char)buf[i]);
        must(sendto(sock, buf, n, 0, (struct sockaddr *)&peer, len), "sendto");
    }
}
