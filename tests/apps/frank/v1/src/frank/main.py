"""The whole site is imported at the start: a release that cannot be imported is none."""
import importlib
import json
import os
import sys

import frank
import layouts  # vendor/templates, by lib/python/roots.pth
import legacy   # vendor/attic, by an absolute path of the developer's machine

PARTS = [importlib.import_module("frank.part%02d" % i) for i in range(45)]


def site(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/parts":
        return [("%d parts, sum %d\n" % (len(PARTS), sum(p.NUMBER for p in PARTS))).encode()]
    if path == "/roots":
        top = os.environ["SILVER_APP_DIR"]
        inside = [os.path.relpath(os.path.realpath(p), os.path.realpath(top)) for p in sys.path
                  if os.path.realpath(p).startswith(os.path.realpath(top) + "/")]
        return [(json.dumps(sorted(set(inside))) + "\n").encode()]
    return [layouts.page("frank %d" % frank.VERSION, legacy.motto()).encode()]
