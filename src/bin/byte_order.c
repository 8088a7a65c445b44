/*
 * byte_order - shows the bytes of a port and an address, in this machine and on the wire.
 *
 * Usage: byte_order [ADDRESS] [PORT]
 * Follows: the Princeton deck, "Byte Order" and the two slides after it.
 * Rust twin: byte_order.rs.
 */
#include <arpa/inet.h>  /* htons(), htonl(), ntohl(), inet_addr() */
#include <netinet/in.h> /* struct sockaddr_in */
#include <stdio.h>      /* snprintf() */
#include <string.h>     /* memset() */
#include <sys/socket.h> /* socket(), connect(), getpeername() */
#include <unistd.h>     /* close() */

#include "common/common.h" /* DieWithError(), printLine() */

static const char *dottedAddress = "127.0.0.1"; /* the arguments */
static in_port_t port = 7000;

static const char *hex(const void *bytes, size_t len);

static void showBytes(void)
{
    in_addr_t address = ntohl(inet_addr(dottedAddress)); /* a number to calculate with */
    struct sockaddr_in addr;
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(address);
    const char *familyBytes = hex(&addr.sin_family, 2), *portBytes = hex(&addr.sin_port, 2);
    const char *addressBytes = hex(&addr.sin_addr, 4), *zeroBytes = hex(&addr.sin_zero, 8);

    /* 1. The machine and the Internet. */
    int little = *(const char *)&(const int){1} == 1;
    printLine("This machine is %s: the %s-order byte of a number comes first.\n"
              "The Internet is big-endian: the high-order byte of a number comes first.",
              little ? "little-endian" : "big-endian", little ? "low" : "high");

    /* 2. A port. */
    char networkPort[32];
    snprintf(networkPort, sizeof(networkPort), "htons(%d)", port);
    printLine("\n"
              "A port is a number of two bytes.\n"
              "  host order     %-19d%s\n"
              "  network order  %-19s%s",
              port, hex(&port, 2), networkPort, portBytes);

    /* 3. An address. */
    char hostAddress[32], networkAddress[32];
    snprintf(hostAddress, sizeof(hostAddress), "0x%08x", address);
    snprintf(networkAddress, sizeof(networkAddress), "htonl(0x%08x)", address);
    printLine("\n"
              "An IPv4 address is a number of four bytes.\n"
              "  host order     %-19s%s\n"
              "  network order  %-19s%s\n"
              "  inet_addr(\"%s\") gives it in network order; ntohl() of that is\n"
              "  %u, which is what to calculate with.",
              hostAddress, hex(&address, 4), networkAddress, addressBytes, dottedAddress, address);

    /* 4. The structure that holds both. */
    printLine("\n"
              "struct sockaddr_in: the 16 bytes that bind() and connect() give to the kernel.\n"
              "  offset  field       bytes                    what C writes, and strace shows\n"
              "       0  sin_family  %-23s  AF_INET, in host order\n"
              "       2  sin_port    %-23s  htons(%d)\n"
              "       4  sin_addr    %-23s  inet_addr(\"%s\")\n"
              "       8  sin_zero    %s  nothing: zeros",
              familyBytes, portBytes, port, addressBytes, dottedAddress, zeroBytes);

    /* 5. The wire. */
    printLine("\n"
              "On the wire: the same bytes, in the headers of each packet sent there.\n"
              "  IP header            bytes 16 to 19, destination address  %s\n"
              "  TCP or UDP header    bytes 2 and 3, destination port      %s\n"
              "  sin_family and sin_zero do not leave this machine.",
              addressBytes, portBytes);

    /* 6. A single byte. */
    printLine("\n"
              "A single byte has no order: 'A' is 0x41 here and there. Text needs no htons().");

    /* 7. The kernel, with htons and without. Connecting a UDP socket sends nothing. */
    struct sockaddr_in right, wrong;
    socklen_t len = sizeof(right);
    int sock;
    if ((sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        DieWithError("connect() failed");
    if (getpeername(sock, (struct sockaddr *)&right, &len) < 0)
        DieWithError("getpeername() failed");
    addr.sin_port = port; /* a C compiler gives no warning */
    len = sizeof(wrong);
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        DieWithError("connect() failed");
    if (getpeername(sock, (struct sockaddr *)&wrong, &len) < 0)
        DieWithError("getpeername() failed");
    if (close(sock) < 0)
        DieWithError("close() failed");
    char rightText[32], wrongText[32];
    strcpy(rightText, addressText((struct sockaddr *)&right));
    strcpy(wrongText, addressText((struct sockaddr *)&wrong));
    printLine("\n"
              "What the kernel understands, asked by connect() and getpeername():\n"
              "  sin_port = %-14s  %s\n"
              "  sin_port = %-14d  %-21s  htons() forgotten",
              networkPort, rightText, port, wrongText);
}

/* Bytes in the order of memory. The ninth call overwrites the first text. */
static const char *hex(const void *bytes, size_t len)
{
    static char texts[8][3 * 8];
    static int next = 0;
    char *text = texts[next++ % 8];
    for (size_t i = 0; i < len; i++)
        sprintf(text + 3 * i, "%02x%s", ((const unsigned char *)bytes)[i], i + 1 < len ? " " : "");
    return text;
}

/* ---- Arguments ---- */

#define ARGUMENTS "[ADDRESS] [PORT]"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        usage(c, argv[0], ARGUMENTS);
    if (argc - optind > 2)
        usage('?', argv[0], ARGUMENTS);
    if (argc - optind > 0)
        dottedAddress = dotted(argv[optind]);
    if (argc - optind > 1)
        port = number(argv[optind + 1], 1, 65535);
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    showBytes();
    return 0;
}
