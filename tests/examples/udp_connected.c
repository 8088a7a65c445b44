/* udp_connected - connects to each sender for its answer, and undoes it */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int sock = bound(SOCK_DGRAM, argv[1]);
    for (;;) {
        struct sockaddr_in peer, nobody = {.sin_family = AF_UNSPEC};
        socklen_t len = sizeof(peer);
        char buf[512];
        ssize_t n = must(recvfrom(sock, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len), "recvfrom");
        must(connect(sock, (struct sockaddr *)&peer, len), "connect");
        must(send(sock, buf, n, 0), "send");
        must(connect(sock, (struct sockaddr *)&nobody, sizeof(nobody)), "connect");
    }
}
