/*
 * udp_echo_server - sends each datagram back to where it came from.
 *
 * Usage: udp_echo_server [--bind ADDRESS] [--from-asked | --batch N] [--max-messages N] PORT
 * Follows: the Princeton deck, "Example - Echo using datagram socket", the server's column.
 * Rust twin: udp_echo_server.rs. Its client: udp_echo_client.c.
 */
#define _GNU_SOURCE     /* recvmmsg(), sendmmsg() */
#include <arpa/inet.h>  /* htonl(), htons(), inet_addr() */
#include <netinet/in.h> /* struct sockaddr_in */
#include <string.h>     /* memset() */
#include <sys/socket.h> /* socket(), bind(), recvfrom(), sendto() */
#include <unistd.h>     /* close() */

#include "common/asked.h"  /* answerFromAsked() */
#include "common/common.h" /* DieWithError(), WarnWithError(), recoverFrom(), mayAnswer() */

static in_port_t echoServPort; /* the arguments */
static const char *bindAddress = NULL;
static unsigned long long maxMessages = ULLONG_MAX;
static int fromAsked = 0;
static unsigned batch = 0; /* not given */

static size_t same(const struct sockaddr_in *client, const char *message, size_t len, char *reply);
static void answerInBatches(int servSock, const struct sockaddr_in *echoServAddr);

static void serve(void)
{
    static char echoBuffer[DATAGRAM]; /* the longest possible datagram fits */
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
        echoServAddr.sin_addr.s_addr = inet_addr(bindAddress); /* --bind: this one only */
    echoServAddr.sin_port = htons(echoServPort); /* Local port */
    if (bind(servSock, (struct sockaddr *)&echoServAddr, sizeof(echoServAddr)) < 0)
        DieWithError("bind() failed");

    /* Not on the slide: print the address, with the port chosen for port 0. */
    if (getsockname(servSock, (struct sockaddr *)&echoServAddr, &servLen) < 0)
        DieWithError("getsockname() failed");
    printLine("listening on %s:%d", inet_ntoa(echoServAddr.sin_addr), ntohs(echoServAddr.sin_port));

    /* Not on the slide: the same with other calls. */
    if (fromAsked || batch > 0) {
        if (fromAsked)
            answerFromAsked(servSock, &echoServAddr, maxMessages, same);
        else
            answerInBatches(servSock, &echoServAddr);
        if (close(servSock) < 0)
            DieWithError("close() failed");
        return;
    }

    /* 3. Repeatedly communicate: Run forever, or for --max-messages. */
    unsigned long long messages = 0;
    while (messages < maxMessages) {
        /* Block until a message is received from a client. One of zero bytes is a message too. */
        clientAddrLen = sizeof(echoClientAddr); /* Set the size of the in-out parameter */
        while ((recvMsgSize = receivedFrom(
                    recvfrom(servSock, echoBuffer, DATAGRAM, 0,
                             (struct sockaddr *)&echoClientAddr, &clientAddrLen),
                    DATAGRAM, &echoClientAddr, &clientAddrLen)) < 0)
            recoverFrom("recvfrom() failed");

        /* Not on the slide: two servers must not answer each other without end. */
        if (!mayAnswer(&echoClientAddr, &echoServAddr))
            continue;

        /* Send it back. An error ends this client only, not the server. */
        if (within(sendto(servSock, echoBuffer, recvMsgSize, 0,
                          (struct sockaddr *)&echoClientAddr, sizeof(echoClientAddr)),
                   recvMsgSize) < 0)
            WarnWithError(&echoClientAddr, "sendto() failed");
        messages++;
    }
    if (close(servSock) < 0)
        DieWithError("close() failed");
}

/* The answer for --from-asked. */
static size_t same(const struct sockaddr_in *client, const char *message, size_t len, char *reply)
{
    (void)client;
    memcpy(reply, message, len);
    return len;
}

/* A header for one datagram: its address and its bytes. */
static struct mmsghdr datagram(struct sockaddr_in *client, struct iovec *bytes)
{
    struct msghdr header = {.msg_name = client, .msg_namelen = sizeof(*client),
                            .msg_iov = bytes, .msg_iovlen = 1};
    return (struct mmsghdr){.msg_hdr = header};
}

/* Checks what recvmmsg() returned: an impossible length or address is an error. */
static int whole(int received, unsigned most, const struct mmsghdr *messages)
{
    received = within(received, most);
    for (int i = 0; i < received; i++)
        if (receivedFrom(messages[i].msg_len, DATAGRAM, messages[i].msg_hdr.msg_name,
                         &messages[i].msg_hdr.msg_namelen) < 0)
            return -1;
    return received;
}

/*
 * Not on the slide: step 3 for --batch. One call receives all datagrams that have arrived, and one
 * sends all answers: under load, two calls serve many datagrams.
 */
static void answerInBatches(int servSock, const struct sockaddr_in *echoServAddr)
{
    struct mmsghdr *headers = allocate(batch * sizeof(*headers));
    struct mmsghdr *answers = allocate(batch * sizeof(*answers));
    struct sockaddr_in *clients = allocate(batch * sizeof(*clients));
    struct iovec *buffers = allocate(batch * sizeof(*buffers));
    char *echoBuffers = allocate((size_t)batch * DATAGRAM);
    unsigned long long messages = 0;
    while (messages < maxMessages) {
        unsigned most = maxMessages - messages < batch ? maxMessages - messages : batch;
        int received;
        do {
            for (unsigned i = 0; i < most; i++) {
                buffers[i].iov_base = echoBuffers + (size_t)i * DATAGRAM;
                buffers[i].iov_len = DATAGRAM;
                headers[i] = datagram(&clients[i], &buffers[i]);
            }
            /* Waits for the first datagram, and takes all others that have arrived. */
            received = recvmmsg(servSock, headers, most, MSG_WAITFORONE, NULL);
            received = whole(received, most, headers);
            if (received < 0)
                recoverFrom("recvmmsg() failed");
        } while (received < 0);

        unsigned count = 0, sent = 0;
        for (int i = 0; i < received; i++) {
            if (!mayAnswer(&clients[i], echoServAddr))
                continue;
            buffers[i].iov_len = headers[i].msg_len;
            answers[count++] = datagram(&clients[i], &buffers[i]);
        }
        while (sent < count) {
            int n = within(sendmmsg(servSock, answers + sent, count - sent, 0), count - sent);
            if (n == 0)
                errno = EIO; /* a correct kernel never returns this */
            if (n <= 0)
                WarnWithError(answers[sent].msg_hdr.msg_name, "sendmmsg() failed");
            sent += n > 0 ? n : 1;
        }
        messages += count;
    }
    free(headers);
    free(answers);
    free(clients);
    free(buffers);
    free(echoBuffers);
}

/* ---- Arguments ---- */

#define ARGUMENTS "[--bind ADDRESS] [--from-asked | --batch N] [--max-messages N] PORT"

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'},
        {"from-asked", no_argument, &fromAsked, 1},
        {"batch", required_argument, NULL, 'n'},
        {"max-messages", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 0: break;
        case 'b': bindAddress = dotted(optarg); break;
        case 'n': batch = number(optarg, 1, 1024); break;
        case 'm': maxMessages = number(optarg, 1, ULLONG_MAX); break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind != 1 || (fromAsked && batch > 0))
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
