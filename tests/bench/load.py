"""Rows under load: requests during flips, beside an app that misbehaves, and the start of a second release."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

from servers import run

FLIP_SECONDS = 0.2
APP = '''"""Answers at once; /slow takes ten seconds; the rest is for the neighbour from hell."""
import ctypes
import os
import time

VERSION = "%s"
kept = []


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(10)
    elif path == "/wedge":
        time.sleep(3600)
    elif path == "/crash":
        ctypes.string_at(0)
    elif path == "/leak":
        kept.append(b"x" * (8 << 20))
    elif path == "/bomb":
        end = time.monotonic() + 60
        if os.fork() == 0:
            while time.monotonic() < end:
                try:
                    os.fork()
                except OSError:
                    time.sleep(0.05)
            os._exit(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [VERSION.encode() + b"\\n"]
'''


def seconds(b, wanted):
    return max(3, wanted // 6) if b.sizes.quick else wanted


def push_app(b, app, version, *lines):
    ini = "\n".join(("[production]", "platform = python", "runner = src/app.py", *lines, ""))
    b.trees.commit(app, {"app.ini": ini.encode(), "src/app.py": (APP % version).encode()})
    b.push("silver", app)
    b.silver.settle(app)


def wrk(b, app, lasts, connections=4):
    """wrk's p99 in ms, and how many of how many requests failed."""
    host = "%s.localhost:%d" % (app, b.silver.http)
    said = subprocess.run(["wrk", "-t1", "-c%d" % connections, "-d%ds" % lasts, "--latency", "--timeout", "30s",
                           "-H", "Host: " + host, "http://127.0.0.1:%d/" % b.silver.http],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    number, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", said).groups()
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    failed = sum(map(int, errors.groups())) if errors else 0
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    failed += int(bad[1]) if bad else 0
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], failed, int(re.search(r"(\d+) requests in", said)[1])


def connect(b, app, path, answer=None):
    """A request of its own; what comes back goes into the list `answer`."""
    s = socket.create_connection(("127.0.0.1", b.silver.http))
    s.settimeout(60)
    s.sendall(("GET %s HTTP/1.0\r\nHost: %s.localhost\r\n\r\n" % (path, app)).encode())
    if answer is None:
        return s
    text = b""
    while piece := s.recv(65536):
        text += piece
    answer.append(text)
    return s


def flips(b):
    """Requests while two releases flip every 200 ms, beside the same without; a request of 10 s goes on through all of it."""
    push_app(b, "flips", "one")
    push_app(b, "flips", "two")
    # its address keeps the processes of both releases up: what is timed is the flip, not the start of Python
    run(*b.silver.ssh("location", "add", "flips", "prev.example.com", "--previous"), stdout=subprocess.DEVNULL)
    lasts, count, answer = seconds(b, 60), 0, []
    p99, failed, tried = wrk(b, "flips", lasts)
    b.take("flips", "steady", p99)
    result = []
    load = threading.Thread(target=lambda: result.append(wrk(b, "flips", lasts)))
    slow = threading.Thread(target=lambda: connect(b, "flips", "/slow", answer))
    slow.start()
    time.sleep(0.5)
    load.start()
    while load.is_alive():
        begun = time.monotonic()
        run(*b.silver.ssh("rollback", "flips"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        count += 1
        time.sleep(max(0, FLIP_SECONDS - (time.monotonic() - begun)))
    load.join()
    slow.join()
    p99, failed, tried = result[0]
    b.take("flips", "silver", p99)
    b.facts["flips"] = {"flips": count, "failed": failed, "requests": tried,
                        "10 s request": "answered" if answer and b" 200 " in answer[0] and b"two" in answer[0] else "LOST"}
    b.silver.settle("flips")


class Trouble:
    """One kind of misbehaviour, for as long as it is wanted."""

    def __init__(self, b, kind):
        self.b, self.kind, self.ends, self.open = b, kind, threading.Event(), []
        self.thread = threading.Thread(target=self.make)

    def make(self):
        while not self.ends.wait(0.1):
            try:
                if self.kind == "slow":  # a header that never ends
                    s = socket.create_connection(("127.0.0.1", self.b.silver.http))
                    s.sendall(b"GET / HTTP/1.1\r\nHost: bad.localhost\r\nX: ")
                    self.open.append(s)
                    for s in self.open:
                        s.sendall(b"x")
                elif self.kind == "bomb" and self.open:
                    continue
                else:
                    self.open.append(connect(self.b, "bad", "/" + self.kind))
            except OSError:
                pass

    def __enter__(self):
        self.thread.start()
        time.sleep(1)

    def __exit__(self, *error):
        self.ends.set()
        self.thread.join()
        for s in self.open:
            s.close()


def kill_users_of(b, app):
    """What a bomb left, by the user of its app."""
    uid = os.stat("%s/data/%s" % (b.silver.state, app)).st_uid
    for _ in range(100):
        left = subprocess.run(["pgrep", "-U", str(uid), "-f", "gunicorn"], stdout=subprocess.PIPE, text=True).stdout.split()
        for pid in left:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass
        if len(left) < 10:
            return
        time.sleep(0.05)


def hygiene(b):
    """An app's p99 beside another one that wedges, crashes, leaks, forks without end or has slow clients."""
    push_app(b, "good", "good")
    push_app(b, "bad", "bad", "[limits]", "timeout = 2", "memory = 128M", "tasks = 100")
    lasts = seconds(b, 10)
    for kind in ("wedge", "crash", "leak", "slow") + (("bomb",) if os.getuid() == 0 else ()):
        for _ in range(1 if b.sizes.quick else 3):
            b.take("hygiene-" + kind, "steady", wrk(b, "good", lasts)[0])
            with Trouble(b, kind):
                p99, failed, _ = wrk(b, "good", lasts)
            b.take("hygiene-" + kind, "silver", p99)
            lost = b.facts.setdefault("hygiene lost", {})
            lost[kind] = lost.get(kind, 0) + failed
            if kind == "bomb":
                kill_users_of(b, "bad")
                time.sleep(2)


DJANGO = b'''import importlib
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(DEBUG=False, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
                   INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                                   "django.contrib.sessions", "django.contrib.messages"])
django.setup()
parts = [importlib.import_module("parts.m%d" % n) for n in range(100)]
urlpatterns = [path("", lambda request: HttpResponse(str(len(parts))))]
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
'''


def django(b):
    """A Django app's start: a second release that changes one of its 100 modules, beside the first one started again."""
    body = b"".join(b"def f%d(a, b=%d, *c, **d):\n    return [x + b for x in c if x] or {a: d}\n" % (n, n) for n in range(100))
    files = {"app.ini": b"[production]\nplatform = python\nrunner = src/app.py\n", "src/app.py": DJANGO,
             **{"src/parts/m%d.py" % n: body for n in range(100)}}
    b.trees.commit("django", files)
    b.push("silver", "django")
    b.silver.settle("django")
    b.take("django", "first", int(b.silver.record("django", "healthy_us", "times.ini")) / 1000)
    for n in range(b.sizes.rounds(10)):
        b.trees.commit("django", {**files, "src/parts/m1.py": body + b"n = %d\n" % n})
        b.push("silver", "django")
        b.silver.settle("django")
        b.take("django", "silver", int(b.silver.record("django", "healthy_us", "times.ini")) / 1000)
        run(*b.silver.ssh("rollback", "django"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        b.silver.settle("django")
        b.take("django", "again", int(b.silver.record("django", "healthy_us", "times.ini")) / 1000)


__all__ = ["flips", "hygiene", "django"]
