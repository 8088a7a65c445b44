"""half_closing_client WORD PORT - an echo client that ends its half of the connection and reads until the server has ended the other."""

import socket
import sys

word = sys.argv[1].encode()
with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as sock:
    sock.sendall(word)
    sock.shutdown(socket.SHUT_WR)
    answer = b""
    while part := sock.recv(4096):
        answer += part
if len(answer) < len(word):
    sys.exit("recv() failed: connection closed prematurely")
print("Received:", answer[: len(word)].decode())
