#!/usr/bin/env python3
"""platform = exec: serves the test application on the socket that it inherits."""
import os
import socket
import socketserver
import wsgiref.simple_server

from app import application


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    address_family = socket.AF_UNIX

    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("unix", 0)


assert os.environ["LISTEN_FDS"] == "1" and int(os.environ["LISTEN_PID"]) == os.getpid()
server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.server_name, server.server_port = "localhost", 80
server.setup_environ()
server.set_app(application)
server.serve_forever()
