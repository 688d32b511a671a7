"""Finds the WSGI application that app.ini's `runner` names; gunicorn calls load()."""
import importlib
import importlib.util
import inspect
import os
import sys
import traceback

from gunicorn.errors import AppImportError  # ends gunicorn at once, without a traceback


def load(runner):
    """`path/file.py`, `path/file.py#object`, `file.ini#section` or `module:object`."""
    target = _find(runner, os.environ["SILVER_APP_DIR"])
    if _is_asgi(target):
        return _as_asgi(target, runner)
    return _with_silver_environ(target)


def _is_asgi(target):
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)
    )


def _as_asgi(target, runner):
    """For silver_worker; gunicorn itself wants something that it could call."""
    if importlib.util.find_spec("uvicorn") is None:
        raise AppImportError(
            "silver: runner '%s' is an ASGI application, which needs uvicorn: `packages = "
            "python3-uvicorn` in app.ini, or uvicorn below lib/python" % runner
        )

    async def application(scope, receive, send):
        if scope["type"] == "websocket":
            _add_silver_scope(scope)
        if scope["type"] != "http":
            return await target(scope, receive, send)
        _add_silver_scope(scope)
        started = False

        async def send_on(message):
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await target(scope, receive, send_on)
        except Exception:
            if started:
                raise
            request = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
            headers, body = _failed(request, scope["method"], scope["path"])
            headers = [(key.lower().encode(), value.encode()) for key, value in headers]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def not_called(environ, start_response):
        raise RuntimeError("an ASGI application is not called as a WSGI one")

    not_called.silver_asgi = application
    return not_called


def _add_silver_scope(scope):
    """The same flags as a WSGI environ has."""
    name = b"x-silver-internal"
    internal = [value for key, value in scope["headers"] if key == name]
    prefix = dict(scope["headers"]).get(b"x-forwarded-prefix")
    if prefix:
        scope["root_path"] = prefix.decode("latin-1")
    scope["headers"] = [(key, value) for key, value in scope["headers"] if key != name]
    if internal:
        scope["silverlining.internal"] = True
        scope["silverlining.update"] = internal[0] == b"update"
    if os.environ.get("SILVER_VERSION", "").startswith("devel/"):
        scope["silverlining.devel"] = True


def _with_silver_environ(application):
    """What an app is told of a request beside the request itself.

    A UNIX socket has no peer address; nginx tells the real one. Whether a request is the node's own
    (update_fetch, test, health) stands in a header that nginx takes out of what comes from outside.
    """
    version = os.environ.get("SILVER_VERSION", "")

    def wrapper(environ, start_response):
        internal = environ.pop("HTTP_X_SILVER_INTERNAL", None)
        if internal:
            environ["silverlining.internal"] = True
            environ["silverlining.update"] = internal == "update"
        if version.startswith("devel/"):
            environ["silverlining.devel"] = True
        forwarded = environ.get("HTTP_X_FORWARDED_FOR")
        if forwarded and not environ.get("REMOTE_ADDR"):
            environ["REMOTE_ADDR"] = forwarded
        # where the location has a path: nginx has taken it from the front of the request's own
        environ["SCRIPT_NAME"] = environ.get("HTTP_X_FORWARDED_PREFIX", "")
        try:
            return application(environ, start_response)
        except Exception:
            headers, body = _failed(
                environ.get("HTTP_X_REQUEST_ID", ""),
                environ.get("REQUEST_METHOD"),
                environ.get("PATH_INFO"),
            )
            start_response("500 Internal Server Error", headers, sys.exc_info())
            return [body]

    return wrapper


def _failed(request, method, path):
    """The log has the traceback, the public has the id by which it is found there."""
    request = "".join(c for c in request if c.isalnum())[:64]
    sys.stderr.write(
        "silver: request %s failed: %s %r\n%s" % (request, method, path, traceback.format_exc())
    )
    sys.stderr.flush()
    body = (
        "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Something went wrong</title>\n"
        "<h1>Something went wrong</h1>\n<p>This page could not be made.</p>\n"
        "<p><small>Request %s</small></p>\n</html>\n" % request
    ).encode()
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    return headers, body


def _find(runner, app_dir):
    path, _, name = runner.partition("#")
    if path.endswith(".ini"):
        return _load_paste(os.path.join(app_dir, path), name or "main")
    if path.endswith(".py"):
        module = _import_file(os.path.join(app_dir, path))
    else:
        path, _, name = runner.partition(":")
        module = importlib.import_module(path)
    return _get_object(module, name or "application", runner)


def _import_file(path):
    """As `python FILE` does: its directory comes first on sys.path."""
    sys.path.insert(0, os.path.dirname(path))
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickle and dataclasses look a class's module up there
    spec.loader.exec_module(module)
    return module


def _module_name(path):
    """The name that `import` would find this file by, or one that hides no other module."""
    name = os.path.splitext(os.path.basename(path))[0]
    if name.isidentifier() and name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec and spec.has_location and os.path.samefile(spec.origin, path):
            return name
    return "silver_app_" + name.replace(".", "_")


def _get_object(module, name, runner):
    target = module
    for part in name.split("."):
        if not hasattr(target, part):
            raise AppImportError(
                "silver: runner '%s': %s has no '%s'" % (runner, module.__file__, name)
            )
        target = getattr(target, part)
    if not callable(target):
        raise AppImportError("silver: runner '%s': '%s' is not callable" % (runner, name))
    return target


def _load_paste(path, section):
    try:
        from paste.deploy import loadapp
    except ImportError as error:
        raise AppImportError(
            "silver: '%s' is a file of Paste Deploy, which is not there (%s): `packages = "
            "python3-pastedeploy` in app.ini, or PasteDeploy below lib/python" % (path, error)
        ) from error

    return loadapp("config:" + path, name=section)
