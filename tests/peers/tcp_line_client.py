"""Asks for each line of standard input on a connection of its own, and reads one line. Usage: tcp_line_client.py PORT"""
import socket
import sys

for line in sys.stdin:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server, server.makefile("rw") as stream:
        stream.write(line)
        stream.flush()
        print("Reply:", stream.readline(), end="")
