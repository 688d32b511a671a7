#!/usr/bin/env python3
"""platform = exec: answers in pieces. /echo speaks after an upgrade, /events tells VERSION until the file of the query is there."""
import os
import signal
import socket
import threading
import time

VERSION = "@VERSION@"


def echo(connection, rest):
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    while rest or (rest := connection.recv(4096)):
        connection.sendall(VERSION.encode() + b":" + rest)
        rest = b""


def events(connection, path):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    until = path.partition("?")[2]
    connection.sendall(b"data: begin %s\n\n" % VERSION.encode())
    while not os.path.exists(until):
        time.sleep(0.02)
    connection.sendall(b"data: end %s\n\n" % VERSION.encode())


def answer(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(4096)
        if not more:
            return
        head += more
    head, rest = head.split(b"\r\n\r\n", 1)
    path = head.split()[1].decode()
    if path == "/echo" and b"upgrade: websocket" in head.lower():
        echo(connection, rest)
    elif path.startswith("/events"):
        events(connection, path)
    else:
        body = VERSION.encode() + b"\n"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))


running = set()


def serve(connection):
    with connection:
        try:
            answer(connection)
        except OSError:
            pass
    running.discard(threading.current_thread())


def leave():
    """What is under way may finish: the node asks with SIGTERM, and waits for drain_ms."""
    print("asked to end", flush=True)
    while running:
        time.sleep(0.02)
    os._exit(0)


signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=leave).start())
listener = socket.socket(fileno=3)
while True:
    thread = threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True)
    running.add(thread)
    thread.start()
