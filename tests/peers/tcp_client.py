"""Asks for each line of standard input on a connection of its own: no newline, one receive. Usage: tcp_client.py PORT"""
import socket
import sys

for line in sys.stdin:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
        server.send(line.rstrip("\n").encode())
        print("Reply:", server.recv(1024).decode())
