"""Answers one line of each connection in upper case, and leaves it open."""
import socket

clients = []
with socket.create_server(("127.0.0.1", 0)) as welcoming:
    print("listening on {}:{}".format(*welcoming.getsockname()))
    while True:
        client, _ = welcoming.accept()
        client.sendall(client.makefile().readline().upper().encode())
        clients.append(client)
