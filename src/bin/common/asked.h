/*
 * asked.h - the UDP servers' --from-asked: step 3 with other calls. The Rust programs have the same
 * in asked.rs.
 */
#ifndef COMMON_ASKED_H
#define COMMON_ASKED_H

#include "common.h"

/*
 * recvfrom() made with recvmsg(), which also says to which of our addresses the datagram was sent.
 */
static inline ssize_t recvfromAsked(int sock, char *buffer, size_t size, struct sockaddr_in *client,
                                    struct in_pktinfo *asked)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct cmsghdr aligned;
    } control;
    struct iovec iov = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_name = client, .msg_namelen = sizeof(*client),
                             .msg_iov = &iov, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(sock, &message, 0);
    n = receivedFrom(n, size, client, &message.msg_namelen);
    memset(asked, 0, sizeof(*asked)); /* zero if the kernel did not say: any address */
    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&message); c != NULL;
         c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            memcpy(asked, CMSG_DATA(c), sizeof(*asked));
    return n;
}

/*
 * sendto() made with sendmsg(), from the address that was asked, by whichever interface leads to
 * the client.
 */
static inline ssize_t sendtoAsked(int sock, const char *bytes, size_t len,
                                  const struct sockaddr_in *client, const struct in_pktinfo *asked)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct cmsghdr header;
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(*asked)),
                            .cmsg_level = IPPROTO_IP,
                            .cmsg_type = IP_PKTINFO}};
    struct in_pktinfo from = *asked;
    struct iovec iov = {.iov_base = (char *)bytes, .iov_len = len};
    struct msghdr message = {.msg_name = (struct sockaddr_in *)client,
                             .msg_namelen = sizeof(*client),
                             .msg_iov = &iov, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof(control)};
    from.ipi_ifindex = 0;
    memcpy(CMSG_DATA(&control.header), &from, sizeof(from));
    return within(sendmsg(sock, &message, 0), len);
}

/*
 * Answers each datagram from the address that it was sent to. With sendto(), the source is the
 * address of the outgoing interface; if that is another one, a careful client ignores the answer.
 * `answer` puts the answer to a message into `reply`, which has room for three times as many bytes,
 * and returns its length.
 */
static inline void answerFromAsked(int sock, const struct sockaddr_in *server,
                                   unsigned long long maxMessages,
                                   size_t (*answer)(const struct sockaddr_in *client,
                                                    const char *message, size_t len,
                                                    char *reply))
{
    static char message[DATAGRAM], reply[3 * DATAGRAM];
    struct sockaddr_in client;
    struct in_pktinfo asked;
    ssize_t len;
    unsigned long long messages = 0;
    while (messages < maxMessages) {
        while ((len = recvfromAsked(sock, message, DATAGRAM, &client, &asked)) < 0)
            recoverFrom("recvmsg() failed");
        if (!mayAnswer(&client, server))
            continue;
        size_t replyLen = answer(&client, message, len, reply);
        if (sendtoAsked(sock, reply, replyLen, &client, &asked) < 0)
            WarnWithError(&client, "sendmsg() failed");
        messages++;
    }
}

#endif
