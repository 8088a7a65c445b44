/*
 * name_lookup - shows a name's addresses, node by node of getaddrinfo's list, and their names.
 *
 * Usage: name_lookup [--all] HOST [SERVICE]
 * Follows: the Princeton deck, "Client: Learning Server Address/Port", and its struct addrinfo.
 * Rust twin: name_lookup.rs.
 */
#include <netdb.h>      /* getaddrinfo(), freeaddrinfo(), getnameinfo() */
#include <netinet/in.h> /* IPPROTO_TCP, IPPROTO_UDP */
#include <stdio.h>      /* snprintf() */
#include <string.h>     /* memset() */
#include <sys/socket.h> /* AF_INET, SOCK_STREAM */

#include "common/common.h" /* resolverError(), addressText(), printLine() */

static int all = 0; /* the arguments */
static const char *hostName, *serviceName = NULL;

static void showFields(const struct addrinfo *node, int number);
static char *quoted(const char *name);

static void lookUp(void)
{
    /* 1. Say what is wanted: any family, and the name behind the name. */
    struct addrinfo hints;
    memset(&hints, 0, sizeof(hints));
    hints.ai_flags = AI_CANONNAME;
    if (!all)
        hints.ai_socktype = SOCK_STREAM;

    /* 2. Translate the name to addresses, and the service to a port. */
    struct addrinfo *res;
    int code;
    if ((code = getaddrinfo(hostName, serviceName, &hints, &res)) != 0) {
        note("getaddrinfo() failed: %s", resolverError(code));
        exit(1);
    }
    char *nodeText = quoted(hostName), *serviceText = quoted(serviceName);
    printLine("getaddrinfo(%s, %s, &hints, &res) = 0", nodeText, serviceText);
    free(nodeText);
    free(serviceText);

    /* 3. Follow the list. */
    int number = 1;
    for (struct addrinfo *node = res; node != NULL; node = node->ai_next) {
        showFields(node, number++);

        /* 4. Translate the address back. */
        char host[NI_MAXHOST], serv[NI_MAXSERV];
        int datagrams = node->ai_socktype == SOCK_DGRAM;
        if ((code = getnameinfo(node->ai_addr, node->ai_addrlen, host, sizeof(host), serv,
                                sizeof(serv), datagrams ? NI_DGRAM : 0)) != 0) {
            printLine("  getnameinfo() failed: %s", resolverError(code));
            continue; /* no name, or no name server has answered */
        }
        char *hostText = quoted(host), *servText = quoted(serv);
        printLine("  getnameinfo()  %s, %s", hostText, servText);
        free(hostText);
        free(servText);
    }

    /* 5. Free the list. */
    freeaddrinfo(res);
}

/* A node's fields, a line each. */
static void showFields(const struct addrinfo *node, int number)
{
    const char *family = node->ai_family == AF_INET ? "AF_INET" : "AF_INET6";
    const char *type = node->ai_socktype == SOCK_STREAM  ? "SOCK_STREAM"
                       : node->ai_socktype == SOCK_DGRAM ? "SOCK_DGRAM"
                                                         : "SOCK_RAW";
    const char *protocol = node->ai_protocol == IPPROTO_TCP   ? "IPPROTO_TCP"
                           : node->ai_protocol == IPPROTO_UDP ? "IPPROTO_UDP"
                                                              : "0";
    char *name = quoted(node->ai_canonname), next[32] = "NULL", flags[32] = "AI_CANONNAME";
    if (node->ai_flags != AI_CANONNAME)
        snprintf(flags, sizeof(flags), "0x%x", node->ai_flags);
    if (node->ai_next != NULL)
        snprintf(next, sizeof(next), "node %d", number + 1);
    printLine("\n"
              "node %d\n"
              "  ai_flags       %s\n"
              "  ai_family      %s\n"
              "  ai_socktype    %s\n"
              "  ai_protocol    %s\n"
              "  ai_addrlen     %d\n"
              "  ai_addr        %s\n"
              "  ai_canonname   %s\n"
              "  ai_next        %s",
              number, flags, family, type, protocol, node->ai_addrlen,
              addressText(node->ai_addr), name, next);
    free(name);
}

/*
 * A name, quoted like a C string. The owner of the address has chosen it, so control characters are
 * escaped. The caller frees it.
 */
static char *quoted(const char *name)
{
    char *text = allocate(name == NULL ? sizeof("NULL") : 4 * strlen(name) + 3);
    if (name == NULL)
        return strcpy(text, "NULL");
    *text = '"';
    strcpy(escape(name, strlen(name), text + 1), "\"");
    return text;
}

/* ---- Arguments ---- */

#define ARGUMENTS "[--all] HOST [SERVICE]"

/* Refuses a number above 65535, which getaddrinfo() would cut to 16 bits. */
static const char *service(const char *text)
{
    const char *digits = text + strspn(text, " \t\n\v\f\r");
    if (*digits == '+' || *digits == '-')
        digits++;
    if (digits[strspn(digits, "0123456789")] == '\0')
        number(text, 0, 65535);
    return name(text);
}

static void parse(int argc, char *argv[])
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;)
        switch (c) {
        case 'a': all = 1; break;
        default: usage(c, argv[0], ARGUMENTS);
        }
    if (argc - optind < 1 || argc - optind > 2)
        usage('?', argv[0], ARGUMENTS);
    hostName = name(argv[optind]);
    if (argc - optind == 2)
        serviceName = service(argv[optind + 1]);
}

int main(int argc, char *argv[])
{
    start(argv);
    parse(argc, argv);
    lookUp();
    return 0;
}
