/* greeter - sends each client a word and closes, without asking who it is */
#include "example.h"

int main(int argc, char *argv[])
{
    (void)argc;
    int listener = listening(argv[1]);
    for (;;) {
        int client = must(accept(listener, NULL, NULL), "accept");
        must(send(client, "Welcome!\n", 9, 0), "send");
        close(client);
    }
}
