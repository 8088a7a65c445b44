"""Answers each datagram in upper case."""
import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    print("listening on {}:{}".format(*server.getsockname()))
    while True:
        message, client = server.recvfrom(2048)
        server.sendto(message.decode().upper().encode(), client)
