"""The application that the end-to-end tests push: a WSGI object that tells about itself."""
import json
import os
import select
import sys

VERSION = "@VERSION@"


def application(environ, start_response):
    path, query = environ.get("PATH_INFO", "/"), environ.get("QUERY_STRING", "")
    status, body = "200 OK", ""
    if path == "/version":
        body = VERSION + "\n"
    elif path == "/pid":
        body = "%d\n" % os.getpid()
    elif path == "/env":
        body = json.dumps(dict(os.environ))
    elif path == "/who":
        body = "%d %d %s\n" % (os.getuid(), os.getgid(), sorted(os.getgroups()))
    elif path == "/bytes":
        # old or new, wholly: a body of one letter, in pieces
        start_response(status, [("Content-Type", "text/plain")])
        return (VERSION[0].encode() * 1000 for _ in range(20))
    elif path == "/wait":
        # answers when the file that the query names is there: /wait?/tmp/x
        print("waiting for", query, flush=True)
        while not os.path.exists(query):
            select.select([], [], [], 0.02)
        body = VERSION + "\n"
    elif path == "/say":
        print(query, flush=True)
        print("stderr " + query, file=sys.stderr, flush=True)
    elif path == "/write":
        try:
            with open(os.path.join(os.path.dirname(__file__), "planted"), "w"):
                body = "written\n"
        except OSError as e:
            body = e.strerror + "\n"
    elif path == "/environ":
        body = json.dumps({k: v for k, v in environ.items() if isinstance(v, (str, bool))})
    elif path == "/count":
        total = 0
        while chunk := environ["wsgi.input"].read(65536):
            total += len(chunk)
        body = "%d\n" % total
    elif path == "/raise":
        raise RuntimeError("a secret of the app's: " + query)
    elif path == "/fail":
        status = "500 Internal Server Error"
    elif path == "/exit":
        os._exit(3)
    elif path == "/":
        body = "hello from version " + VERSION + "\n"
    else:
        status, body = "404 Not Found", "no " + path + "\n"
    start_response(status, [("Content-Type", "text/plain")])
    return [body.encode()]
