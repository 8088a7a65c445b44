"""Answers one receive of each connection in upper case, then closes it."""
import socket

with socket.create_server(("127.0.0.1", 0)) as welcoming:
    print("listening on {}:{}".format(*welcoming.getsockname()))
    while True:
        client, _ = welcoming.accept()
        client.send(client.recv(1024).decode().upper().encode())
        client.close()
