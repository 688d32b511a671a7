"""The row of a Python app: how long until the new code answers, beside a static app and gunicorn alone."""
import os
import socket
import subprocess
import threading
import time

from measure import turn

POLL_SECONDS = 0.003
PYTHON = "/usr/bin/python3"  # Debian's, which has gunicorn; silver runs the same
APP = '''"""An application that answers its version."""

VERSION = "%s"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [VERSION.encode() + b"\\n"]
'''
# runtime/python/silver_gunicorn.py's: one worker, four threads
GUNICORN = ["-m", "gunicorn", "--workers=1", "--worker-class=gthread", "--threads=4", "--worker-tmp-dir=/dev/shm",
            "--log-level=warning"]


def ask(family, address, host):
    """The body of /version, or b"" while nobody answers."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(address)
            s.sendall(("GET /version HTTP/1.0\r\nHost: %s\r\n\r\n" % host).encode())
            answer = b""
            while piece := s.recv(65536):
                answer += piece
    except OSError:
        return b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return body.strip() if b" 200 " in head.split(b"\r\n")[0] else b""


def wait_for(version, *where):
    end = time.monotonic() + 60
    while ask(*where) != version:
        if time.monotonic() > end:
            raise RuntimeError("version %r does not answer" % version)
        time.sleep(POLL_SECONDS)


def push_until_answered(b, app, version):
    """Milliseconds from the start of the push until the new version is served."""
    where = (socket.AF_INET, ("127.0.0.1", b.silver.http), "%s.localhost:%d" % (app, b.silver.http))
    answered = []
    poller = threading.Thread(target=lambda: (wait_for(version, *where), answered.append(time.perf_counter())))
    start = time.perf_counter()
    poller.start()
    b.push("silver", app)
    poller.join()
    return (answered[0] - start) * 1000


def gunicorn_alone(b, version):
    """Milliseconds from the start of gunicorn until it answers; new source, as after a push."""
    directory = "%s/gunicorn" % b.tmp
    os.makedirs(directory, exist_ok=True)
    with open(directory + "/app.py", "w") as f:
        f.write(APP % version.decode())
    path = directory + "/sock"
    start = time.perf_counter()
    with open(directory + "/log", "w") as log:
        child = subprocess.Popen([PYTHON, *GUNICORN, "--bind=unix:" + path, "app:application"], cwd=directory,
                                 stdout=log, stderr=log)
    try:
        wait_for(version, socket.AF_UNIX, path, "localhost")
        return (time.perf_counter() - start) * 1000
    finally:
        child.terminate()
        child.wait()


def commit_version(b, app, version):
    if app == "static":
        b.trees.commit(app, {"app.ini": b"[production]\nplatform = static\n", "static/version": version + b"\n"})
    else:
        b.trees.commit(app, {"app.ini": b"[production]\nplatform = python\nrunner = src/app.py\n",
                             "src/app.py": (APP % version.decode()).encode()})


def measure_python(b):
    for n in range(-2, b.sizes.rounds(10)):  # two to warm up: the app's creation, a spare slot, byte code of the libraries
        for way in turn(("python", "static", "gunicorn"), n):
            version = b"%s-%d" % (way.encode(), n)
            if way == "gunicorn":
                took = gunicorn_alone(b, version)
            else:
                commit_version(b, way, version)
                took = push_until_answered(b, way, version)
                b.silver.settle(way)
            if n >= 0:
                b.take("python", way, took)
