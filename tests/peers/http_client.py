"""Asks a web server by Python's http.client, over one connection: usage http_client.py PORT"""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)


def ask(method, target, headers={}, body=None):
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


answer, body = ask("GET", "/hello.txt")
print(answer.status, answer.reason, answer.getheader("Content-Length"), body)
sock = connection.sock
answer, body = ask("HEAD", "/hello.txt")
print(answer.status, answer.reason, answer.getheader("Content-Length"), body)
answer, body = ask("GET", "/nope")
print(answer.status, answer.reason, len(body))
answer, body = ask("GET", "/hello.txt", {"Range": "bytes=7-9"})
print(answer.status, answer.reason, body)
assert connection.sock is sock, "the connection did not stay"
answer, body = ask("POST", "/hello.txt", body="x" * 100_000)
print(answer.status, answer.reason, answer.getheader("Connection"))
