"""An echo server on 127.0.0.1, sound or with a fault: PORT [once|nul|dies|random|thread]."""
import random
import socket
import sys
import threading

port, how = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(5)


def serve(client):
    try:
        while data := client.recv(4096):
            if how == "random":
                data = b"%d %s" % (random.randrange(10**9), data)
            client.sendall(data + b"\0" * (how == "nul"))
            if how == "once":
                break
    except OSError:
        if how == "dies":
            raise
    client.close()


while True:
    client = server.accept()[0]
    if how == "thread":
        threading.Thread(target=serve, args=[client], daemon=True).start()
    else:
        serve(client)
