"""Kurose & Ross 2.7.2, TCPClient.py. Usage: textbook_client.py PORT"""
import socket
import sys

client_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client_socket.connect(("127.0.0.1", int(sys.argv[1])))
sentence = input("Input lowercase sentence:")
client_socket.send(sentence.encode())
print("From Server:", client_socket.recv(1024).decode())
client_socket.close()
