#!/usr/bin/env python3
"""The table of tests/bench/run: medians with their quartiles, and ratios to sshd."""
import statistics
import sys
from collections import defaultdict

path, mb, apps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
values = defaultdict(list)
for line in open(path):
    kind, server, number = line.split()
    values[kind, server].append(float(number))


def shown(kind, server, scale=lambda ms: ms):
    v = sorted(scale(x) for x in values[kind, server])
    if not v:
        return "-"
    low, high = (v[0], v[-1]) if len(v) < 4 else statistics.quantiles(v, n=4)[::2]
    return "%.0f (%.0f-%.0f)" % (statistics.median(v), low, high)


def row(title, kind, aim="", scale=lambda ms: ms):
    cells = [shown(kind, s, scale) for s in ("silver", "sshd", "curve25519")]
    ratio = ""
    if values[kind, "silver"] and values[kind, "sshd"]:
        both = [statistics.median([scale(x) for x in values[kind, s]]) for s in ("silver", "sshd")]
        ratio = "%.2f x" % (both[0] / both[1])
    print("%-44s %18s %18s %18s %8s  %s" % (title, *cells, ratio, aim))


print("\n%-44s %18s %18s %18s %8s  %s" % ("median (quartiles)", "silver", "sshd", "sshd curve25519", "ratio", "aim"))
row("git push, 1 of 1 000 files, ms", "push", "<= 0.6 x; silver deploys too")
row("git ls-remote, ms", "ls-remote")
row("first push of 1 000 files, ms", "first", "silver deploys too")
row("%d MB blob to a branch, MB/s" % mb, "blob", ">= 0.9 x", lambda ms: mb * 1000 / ms)
row("the same blob, there already, deployed, MB/s", "blob-deploy", "", lambda ms: mb * 1000 / ms)
row("first small push, creates the app, ms", "create")
row("%d pushes at once, ms for all" % apps, "at-once")
for server in ("silver", "sshd", "curve25519"):
    if values["lost", server]:
        print("%d pushes at once to %s were lost" % (len(values["lost", server]), server))
for what, aim in (("silverd", 4), ("session", 10)):
    if values["rss", what]:
        print("%-44s %18.1f %57s <= %d MB" % (what + " resident, MB", max(values["rss", what]) / 1024, "", aim))
