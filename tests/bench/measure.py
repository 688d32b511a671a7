"""What every row shares: the servers, the apps that are there already, timing, and the samples."""
import os
import statistics
import subprocess
import time
from collections import defaultdict

from servers import CURVE, Silver, Sshd, make_client, run
from trees import Trees

SSHD_WAYS = ("none", "checkout", "archive", "worktree")


class Sizes:
    """How much is measured: all of it, or what takes less than two minutes."""

    def __init__(self, quick):
        self.quick = quick
        self.trees = (100, 1000) if quick else (100, 1000, 10000, 50000, 100000)
        self.big = 1000 if quick else 50000
        self.blob_mb = 20 if quick else 200
        self.crowd = 10 if quick else 50
        self.small_crowd = 5 if quick else 20

    def rounds(self, wanted):
        return max(2, wanted // 5) if self.quick else wanted


class Bench:
    def __init__(self, tmp, build, quick):
        self.tmp, self.sizes = tmp, Sizes(quick)
        self.samples = defaultdict(list)  # (row, contender) -> numbers
        self.facts = {}  # what is counted, not timed
        make_client(tmp)
        os.environ.update(GIT_CONFIG_GLOBAL=tmp + "/gitconfig", GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0",
                          LC_ALL="C.UTF-8", HOME=tmp)
        self.silver, self.sshd = Silver(tmp, build), Sshd(tmp, "default")
        self.wide = Sshd(tmp, "wide", "MaxStartups 1000")
        self.servers = (self.silver, self.sshd, self.wide)
        for server in self.servers:
            server.begin()
        self.made, self.seeds, self.seed = set(), {}, 0
        self.trees = None

    def make_trees(self, sizes):
        self.trees = Trees(self.tmp + "/client.git", sizes)

    def stop(self):
        for server in self.servers:
            server.stop()
        self.silver.remove_users()

    # --- apps and repositories ---------------------------------------------------------------------

    def seed_repo(self, branch):
        """A bare repository that has received `branch`, to be hard-linked: what a push leaves, one pack."""
        if branch not in self.seeds:
            repo = "%s/seed-%s.git" % (self.tmp, branch)
            run("git", "init", "-q", "--bare", "--template=", repo)
            run("git", "-C", repo, "-c", "fetch.unpackLimit=1", "fetch", "-q", "--no-tags", self.trees.repo,
                "%s:refs/heads/master" % self.trees.tip[branch])
            self.seeds[branch] = repo
        return self.seeds[branch]

    def need(self, way, branch):
        """The app of `branch`'s tree, deployed that way; made when first asked for."""
        if (way, branch) in self.made:
            return
        self.made.add((way, branch))
        if way == "silver":
            self.push("silver", branch)
            self.silver.settle(branch)
            return
        self.sshd.make(way, branch, self.seed_repo(branch))
        repo = self.sshd.repo(way, branch)
        run("git", "-C", repo, "fetch", "-q", self.trees.repo, "+%s:refs/heads/master" % self.trees.tip[branch])
        if way == "checkout":
            run("git", "-C", repo, "--work-tree=%s.site" % repo, "checkout", "-q", "-f", "master")
        self.clean_disk()

    def url(self, way, app):
        return self.silver.url(app) if way == "silver" else self.sshd.url(way, app)

    # --- pushes and time ---------------------------------------------------------------------------

    def push_words(self, way, branch, ref="refs/heads/master", app=None):
        return ["git", "-C", self.trees.repo, "push", self.url(way, app or branch), "%s:%s" % (self.trees.tip[branch], ref)]

    def push(self, way, branch, kex="", **options):
        """Milliseconds of one whole `git push` of the branch's tip."""
        return self.time(self.push_words(way, branch, **options), env=self.silver.git_environment(kex))

    def time(self, argv, **options):
        with open(self.tmp + "/said", "w+b") as said:
            start = time.perf_counter()
            status = subprocess.call(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **options)
            took = (time.perf_counter() - start) * 1000
            if status != 0:
                said.seek(0)
                raise RuntimeError("%s: status %d\n%s" % (" ".join(argv), status, said.read().decode(errors="replace")))
        return took

    def clean_disk(self):
        """Nobody is timed while the disk takes what another one wrote."""
        run("sync", "-f", self.tmp)

    def take(self, row, contender, value):
        self.samples[row, contender].append(value)

    def change(self, size, count):
        self.seed += 1
        self.trees.change(size, count, self.seed)

    def round_of_pushes(self, number, row, size, count, ways, kex="", settle=True):
        """One commit that changes `count` files of `size`, pushed all ways; each round begins with another one."""
        branch = "t%d" % size
        for way in ways:
            self.need(way, branch)
        self.change(size, count)
        for way in turn(ways, number):
            self.take(row, way, self.push(way, branch, kex))
            if way == "silver" and settle:
                self.silver.settle(branch)
            elif way not in ("silver", "none"):
                self.clean_disk()

    def median(self, row, contender):
        values = self.samples.get((row, contender))
        return statistics.median(values) if values else None


def turn(items, number):
    at = number % len(items)
    return [*items[at:], *items[:at]]


__all__ = ["Bench", "CURVE", "turn", "run"]
