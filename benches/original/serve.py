"""Serves with the original's web server: serve.py PORT, in a folder with its files."""
import socket
import sys

import webserver


class Client:
    """The unix port's sockets have no sendall; theirs on a chip have."""

    def __init__(self, stream):
        self.settimeout = stream.settimeout
        self.recv = stream.recv
        self.sendall = stream.write
        self.close = stream.close


class Listener:
    def __init__(self, listener):
        self.listener = listener

    def accept(self):
        stream, address = self.listener.accept()
        return Client(stream), address


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
listener.listen(3)
listener = Listener(listener)
while True:
    webserver.ap_webserver_loop(listener)
