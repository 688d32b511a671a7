"""proxy.py DIR PORT: a network between client and node that can break. Its own port is written to DIR/port.

DIR/limit	when a connection comes: so many bytes of the client are passed on, then DIR/held is made and nothing more
		passes in either direction (no such file: all passes)
DIR/do		acted upon while it is there, for every connection: `silent`, nothing passes, and nobody is told;
		`close`, both ends are closed; `reset`, both ends get an RST. It is removed when that is done.
"""
import os
import selectors
import socket
import struct
import sys

DIR, PORT = sys.argv[1], int(sys.argv[2])
wait = selectors.DefaultSelector()
pairs = []


def read(name):
    try:
        with open(os.path.join(DIR, name)) as f:
            return f.read().strip()
    except OSError:
        return ""


def make(name, text):
    with open(os.path.join(DIR, name + ".new"), "w") as f:
        f.write(text)
    os.rename(os.path.join(DIR, name + ".new"), os.path.join(DIR, name))


class Pair:
    def __init__(self, client):
        self.ends = [client, socket.create_connection(("127.0.0.1", PORT))]
        limit = read("limit")
        self.left = int(limit) if limit else None
        self.open = [True, True]
        for i, end in enumerate(self.ends):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wait.register(end, selectors.EVENT_READ, (self, i))
        self.hold_when_spent()

    def hold_when_spent(self):
        if self.left == 0:
            self.silence()
            make("held", "")

    def silence(self):
        for i, end in enumerate(self.ends):
            if self.open[i]:
                wait.unregister(end)
            self.open[i] = False

    def end(self, reset):
        self.silence()
        for end in self.ends:
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        pairs.remove(self)

    def move(self, i):
        size = 65536 if i or self.left is None else self.left
        try:
            data = self.ends[i].recv(size)
            if not data:
                self.ends[1 - i].shutdown(socket.SHUT_WR)
                wait.unregister(self.ends[i])
                self.open[i] = False
                if not any(self.open):
                    self.end(False)
                return
            self.ends[1 - i].sendall(data)
        except OSError:
            self.end(True)
            return
        if not i and self.left is not None:
            self.left -= len(data)
            self.hold_when_spent()


listener = socket.create_server(("127.0.0.1", 0))
wait.register(listener, selectors.EVENT_READ, None)
make("port", str(listener.getsockname()[1]))
while True:
    for key, _ in wait.select(0.05):
        if key.data is None:
            pairs.append(Pair(listener.accept()[0]))
        elif key.data[0] in pairs and key.data[0].open[key.data[1]]:
            key.data[0].move(key.data[1])
    what = read("do")
    if what:
        for pair in list(pairs):
            pair.silence() if what == "silent" else pair.end(what == "reset")
        os.unlink(os.path.join(DIR, "do"))
