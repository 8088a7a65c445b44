"""Sends each line of standard input as a datagram, from a socket of its own. Usage: udp_client.py PORT"""
import socket
import sys

for line in sys.stdin:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(line.rstrip("\n").encode(), ("127.0.0.1", int(sys.argv[1])))
        reply, _ = client.recvfrom(2048)
        print("Reply:", reply.decode())
