"""Answers each datagram with the whole buffer that it was received into, in upper case: zero bytes follow the message."""
import socket

SIZE = 1024

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    print("listening on {}:{}".format(*server.getsockname()))
    while True:
        message, client = server.recvfrom(SIZE)
        server.sendto(message.upper().ljust(SIZE, b"\0"), client)
