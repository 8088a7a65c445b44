"""An echo server by Python's selectors, with what is still to be sent kept for each client. Usage: selectors_.py PORT"""
import selectors
import socket
import sys

selector = selectors.DefaultSelector()
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen()
server.setblocking(False)
selector.register(server, selectors.EVENT_READ)


def step(client, rest):
    """Receives if nothing is left to be sent, sends otherwise. False when the client has gone."""
    if rest:
        del rest[: client.send(rest)]
    else:
        data = client.recv(4096)
        if not data:
            return False
        rest += data
    selector.modify(client, selectors.EVENT_WRITE if rest else selectors.EVENT_READ, rest)
    return True


while True:
    for key, _ in selector.select():
        if key.fileobj is server:
            try:
                client, _ = server.accept()
            except OSError:
                continue  # it has gone, or no descriptor is left
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ, bytearray())
            continue
        try:
            stays = step(key.fileobj, key.data)
        except BlockingIOError:
            stays = True
        except OSError:
            stays = False
        if not stays:
            selector.unregister(key.fileobj)
            key.fileobj.close()
