"""Puts an app's own libraries on sys.path in every Python that runs in its environment.

Python imports this module at start because its directory is in PYTHONPATH. The order is that of a
virtual environment: the standard library, the app's lib/python with what its .pth files name, the
app's src, then the packages of the system.
"""
import os
import site
import sys


def _is_system_packages(path):
    return os.path.basename(path) in ("dist-packages", "site-packages")


def _add_app(app):
    before = list(sys.path)
    # where its links lead: the lines of a .pth file are relative to the directory that it really is in
    site.addsitedir(os.path.realpath(os.path.join(app, "lib", "python")))
    added = [path for path in sys.path if path not in before]
    src = os.path.join(app, "src")
    if os.path.isdir(src) and src not in sys.path:
        added.append(src)
    rest = [path for path in sys.path if path not in added]
    # Debian packages of the release itself are in PYTHONPATH, in front of the standard library
    packages = [path for path in rest if _is_system_packages(path)]
    sys.path[:] = [path for path in rest if path not in packages] + added + packages


def _keep_system_bytecode(app):
    """Byte code of the app's files lies below PYTHONPYCACHEPREFIX, that of the system where Debian put it.

    With the prefix alone each app would compile the standard library and gunicorn anew at its first
    start, which takes longer than the rest of the start.
    """
    import importlib._bootstrap_external as bootstrap
    import importlib.util

    prefix, original = sys.pycache_prefix, bootstrap.cache_from_source

    def cache_from_source(path, *args, **kwargs):
        cached = original(path, *args, **kwargs)
        absolute = os.path.abspath(cached)
        return prefix + absolute if absolute.startswith(app + os.sep) else cached

    sys.pycache_prefix = None
    bootstrap.cache_from_source = importlib.util.cache_from_source = cache_from_source


def _import_custom():
    import importlib.util

    if importlib.util.find_spec("silvercustomize") is None:
        return
    try:
        import silvercustomize  # noqa: F401
    except Exception:
        # site would print one line and go on with half an app
        import traceback

        traceback.print_exc()
        raise SystemExit("silvercustomize failed; nothing is started without it")


if os.environ.get("SILVER_APP_DIR"):
    if sys.pycache_prefix:
        _keep_system_bytecode(os.environ["SILVER_APP_DIR"])
    _add_app(os.environ["SILVER_APP_DIR"])
    _import_custom()
