"""Finds the WSGI application that app.ini's `runner` names; gunicorn calls load()."""
import importlib
import importlib.util
import inspect
import os
import sys


def load(runner):
    """`path/file.py`, `path/file.py#object`, `file.ini#section` or `module:object`."""
    app_dir = os.environ["SILVER_APP_DIR"]
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
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules or importlib.util.find_spec(name) is None or not _is_own(name, path):
        name = "silver_app_" + name.replace(".", "_")  # hides no module that others import
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickle and dataclasses look a class's module up there
    spec.loader.exec_module(module)
    return module


def _is_own(name, path):
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None and os.path.samefile(spec.origin, path)


def _get_object(module, name, runner):
    target = module
    for part in name.split("."):
        if not hasattr(target, part):
            raise SystemExit("silver: runner '%s': %s has no '%s'" % (runner, module.__file__, name))
        target = getattr(target, part)
    if not callable(target):
        raise SystemExit("silver: runner '%s': '%s' is not callable" % (runner, name))
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(target, "__call__", None)
    ):
        raise SystemExit("silver: runner '%s': '%s' is an ASGI application; "
                         "platform = python serves WSGI" % (runner, name))
    return target


def _load_paste(path, section):
    from paste.deploy import loadapp

    return loadapp("config:" + path, name=section)
