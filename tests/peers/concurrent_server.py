"""An echo server with a thread for each client. Usage: concurrent_server.py PORT"""
import socket
import sys
import threading


def serve(client):
    while chunk := client.recv(100):
        client.sendall(chunk)
    client.close()


server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    threading.Thread(target=serve, args=[client]).start()
