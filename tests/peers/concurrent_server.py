"""An echo server with a process or a thread for each client. Usage: concurrent_server.py fork|thread PORT"""
import os
import signal
import socket
import sys
import threading


def serve(client):
    while chunk := client.recv(100):
        client.sendall(chunk)
    client.close()


def fork(client):
    if os.fork() == 0:
        server.close()
        serve(client)
        os._exit(0)
    client.close()


def thread(client):
    threading.Thread(target=serve, args=[client]).start()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    globals()[sys.argv[1]](server.accept()[0])
