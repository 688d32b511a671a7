"""Secrets that are in no environment, no release and no repository."""
import os
import re


def get_secret():
    """A random text, the app's own, the same in every release and process of it."""
    with open(os.path.join(os.environ["HOME"], "secret"), encoding="ascii") as file:
        return file.read().strip()


def get_key(name):
    """A key of the node that its operator has granted to this app; LookupError when there is none."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError("%r is no name of a key" % (name,))
    try:
        with open(os.path.join(os.environ["HOME"], "keys", name), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        raise LookupError("no key %r was granted to this app" % (name,)) from None
