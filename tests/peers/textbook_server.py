"""Kurose & Ross 2.7.2, TCPServer.py, which closes first; -r lets it start again at once. Usage: textbook_server.py [-r] PORT [BACKLOG [METHOD]]"""
import socket
import sys

restarts = sys.argv[1] == "-r"
arguments = sys.argv[1 + restarts :]
port, backlog, method = arguments + ["1", "upper"][len(arguments) - 1 :]
server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
if restarts:
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server_socket.bind(("", int(port)))
server_socket.listen(int(backlog))
while True:
    connection_socket, address = server_socket.accept()
    sentence = connection_socket.recv(1024).decode()
    connection_socket.send(getattr(sentence, method)().encode())
    connection_socket.close()
