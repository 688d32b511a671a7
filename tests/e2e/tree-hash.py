#!/usr/bin/env python3
"""Prints the git tree id of a directory as it is on the disk: names, modes, contents, links.

Written without git, so that it cannot share a mistake with it. An empty directory, a device, or a
mode that git does not know is an error: no commit has one.
"""
import hashlib
import os
import stat
import sys


def object_id(kind, content):
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content).digest()


def entry(path):
    st = os.lstat(path)
    if stat.S_ISLNK(st.st_mode):
        return b"120000", object_id(b"blob", os.readlink(path))
    if stat.S_ISDIR(st.st_mode):
        return b"40000", tree(path)
    if not stat.S_ISREG(st.st_mode) or st.st_mode & 0o7000:
        sys.exit("%r: mode %o" % (path, st.st_mode))
    with open(path, "rb") as f:
        return (b"100755" if st.st_mode & 0o100 else b"100644"), object_id(b"blob", f.read())


def tree(path):
    entries = []
    for name in os.listdir(path):
        mode, oid = entry(path + b"/" + name)
        # git sorts a directory as if its name ended in a slash
        entries.append((name + b"/" if mode == b"40000" else name, mode, name, oid))
    if not entries:
        sys.exit("%r: an empty directory" % path)
    return object_id(b"tree", b"".join(b"%s %s\0%s" % e[1:] for e in sorted(entries)))


print(tree(os.fsencode(sys.argv[1]).rstrip(b"/")).hex())
