"""Takes orders for documents; a process of its own makes them."""
import json
import os
import uuid

from version import VERSION

QUEUE = os.path.join(os.environ["CONFIG_FILES"], "queue")


def host_of(environ):
    return environ["HTTP_HOST"].split(":")[0]


def order(environ):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    name = uuid.uuid4().hex[:12]
    os.makedirs(QUEUE, exist_ok=True)
    with open(os.path.join(QUEUE, "." + name), "w") as f:
        json.dump({"name": name, "host": host_of(environ), "text": environ["wsgi.input"].read(size).decode()}, f)
    os.rename(os.path.join(QUEUE, "." + name), os.path.join(QUEUE, name))
    return name


def application(environ, start_response):
    here = environ.get("SCRIPT_NAME", "")
    if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == "/jobs":
        name = order(environ)
        start_response("202 Accepted", [("Content-Type", "text/plain"), ("Location", "%s/jobs/%s.txt" % (here, name))])
        return [("%s/jobs/%s.txt\n" % (here, name)).encode()]
    if environ["PATH_INFO"] in ("/", "/version"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [("bbdocs %d at %s%s/\n" % (VERSION, host_of(environ), here)).encode()]
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"not made yet, or never ordered\n"]
