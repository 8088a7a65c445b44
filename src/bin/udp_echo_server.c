/*
 * udp_echo_server - sends each datagram back to where it came from.
 *
 * Usage: udp_echo_server [--bind ADDRESS] [--from-asked] [--max-messages N] PORT
 * Follows: the Princeton deck, "Example - Echo using datagram socket", the server's column.
 * Rust twin: udp_echo_server.rs. Its client: udp_echo_client.c.
 */
#include <arpa/inet.h>  /* htonl(), htons(), inet_addr() */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset() */
#include <sys/socket.h> /* socket(), bind(), recvfrom(), sendto() */
#include <unistd.h>     /* close() */

#include "common/common.h" /* DieWithError(), WarnWithError(), recoverFrom(), mayAnswer() */

static in_port_t echoServPort; /* the arguments */
static const char *bindAddress = NULL;
static unsigned long long maxMessages = ULLONG_MAX;
static int fromAsked = 0;

static void answerFromAsked(int servSock, const struct sockaddr_in *echoServAddr, char *echoBuffer);

static void serve(void)
{
    static char echoBuffer[DATAGRAM]; /* no datagram is longer, so none is cut */
    int servSock;
    struct sockaddr_in echoServAddr, echoClientAddr;
    socklen_t servLen = sizeof(echoServAddr), clientAddrLen;
    ssize_t recvMsgSize;
    int on = 1;

    /* 1. Create a UDP socket. */
    if ((servSock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)) < 0)
        DieWithError("socket() failed");

    /* Not on the slide: with --from-asked each datagram says which of our addresses was asked. */
    if (fromAsked && setsockopt(servSock, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
        DieWithError("setsockopt() failed");

    /* 2. Assign a port to the socket. */
    memset(&echoServAddr, 0, sizeof(echoServAddr));
    echoServAddr.sin_family = AF_INET;                /* Internet address family */
    echoServAddr.sin_addr.s_addr = htonl(INADDR_ANY); /* Any incoming interface */
    if (bindAddress != NULL)
        echoServAddr.sin_addr.s_addr = inet_addr(bindAddress); /* --bind: this one alone */
    echoServAddr.sin_port = htons(echoServPort); /* Local port */
    if (bind(servSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("bind() failed");

    /* Not on the slide: say so, with the port that port 0 became. */
    if (getsockname(servSock, (struct sockaddr *)&echoServAddr, &servLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d", inet_ntoa(echoServAddr.sin_addr), ntohs(echoServAddr.sin_port));

    /* Not on the slide: the same by other calls. */
    if (fromAsked) {
        answerFromAsked(servSock, &echoServAddr, echoBuffer);
        if (close(servSock) < 0)
            DieWithError("close() failed");
        return;
    }

    /* 3. Repeatedly communicate: Run forever, or for --max-messages. */
    unsigned long long messages = 0;
    while (messages < maxMessages) {
        /* Block until a message is received from a client. One of zero bytes is a message too. */
        clientAddrLen = sizeof(echoClientAddr); /* Set the size of the in-out parameter */
        while ((recvMsgSize = within(recvfrom(servSock, echoBuffer, DATAGRAM, 0,
                                              (struct sockaddr *)&echoClientAddr, &clientAddrLen),
                                     DATAGRAM)) < 0)
            recoverFrom("recvfrom() failed");

        /* Not on the slide: no answer that could set two servers on each other. */
        if (!mayAnswer(&echoClientAddr, &echoServAddr))
            continue;

        /* Send it back. What goes wrong with one client is that client's loss alone. */
        if (within(sendto(servSock, echoBuffer, recvMsgSize, 0,
                          (struct sockaddr *)&echoClientAddr, sizeof(echoClientAddr)),
                   recvMsgSize) < 0)
            WarnWithError(&echoClientAddr, "sendto() failed");
        messages++;
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
}

/*
 * Not on the slide: step 3 for --from-asked. What sendto() sends leaves from the address with which the way to the client
 * begins. If another one was asked, a careful client takes the answer for a stranger's.
 */
static void answerFromAsked(int servSock, const struct sockaddr_in *echoServAddr, char *echoBuffer)
{
    struct sockaddr_in echoClientAddr;
    struct in_pktinfo asked;
    ssize_t recvMsgSize;
    unsigned long long messages = 0;
    while (messages < maxMessages) {
        while ((recvMsgSize = recvfromAsked(servSock, echoBuffer, DATAGRAM, &echoClientAddr, &asked)) < 0)
            recoverFrom("recvmsg() failed");
        if (!mayAnswer(&echoClientAddr, echoServAddr))
            continue;
        if (sendtoAsked(servSock, echoBuffer, recvMsgSize, &echoClientAddr, &asked) < 0)
            WarnWithError(&echoClientAddr, "sendmsg() failed");
        messages++;
    }
}

/* ---- Arguments ---- */

#define ARGUMENTS "[--bind ADDRESS] [--from-asked] [--max-messages N] PORT"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},
        {"from-asked", no_argument, &fromAsked, 1},
        {"max-messages", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 0: break;
        case 'b': bindAddress = dotted(optarg); break;
        case 'm': maxMessages = number(optarg, 1, ULLONG_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind != 1)
        usage('?', argv[0], ARGUMENTS);
    echoServPort = number(argv[optind], 0, 65535);
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    serve();
    return 0;
}
