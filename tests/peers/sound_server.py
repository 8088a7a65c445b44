"""PORT - an echo server without a fault: tests change one thing in it and see that `sockstep check` finds it."""
import socket
import sys
import threading
import time


def serve(client):
    try:
        while True:
            data = client.recv(4096)
            if not data:
                break
            client.sendall(data)
    except OSError:
        pass  # this client is lost
    client.close()


server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(50)
while True:
    try:
        client, address = server.accept()
    except OSError:
        time.sleep(0.05)  # no descriptor is left
        continue
    threading.Thread(target=serve, args=[client], daemon=True).start()
