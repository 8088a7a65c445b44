"""Two clients at the same time; the one that came last leaves first. Usage: two_at_a_time.py PORT"""
import socket
import sys


def ask(client, word):
    client.sendall(word)
    answer = client.recv(100)
    assert answer == word, answer


def leave(client):
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b""
    client.close()


one = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
ask(one, b"one")
two = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
ask(two, b"two")
ask(one, b"more")
leave(two)
leave(one)
