"""The rows: each measures one question with all its contenders in turns, and leaves samples and facts in the Bench.

ROWS is what there is, in the order of a full run; a row takes what it needs from the ones before it when they ran.
"""
import os
import subprocess
import time

from answers import measure_python
from load import django, flips, hygiene
from measure import CURVE, turn, run
from servers import wait_until

SMALL_FILES = {"app.ini": b"[production]\nplatform = static\n", "static/version": b"0\n"}


def push(b):
    """A one-file push into the big tree, with OpenSSH's default key exchange and with curve25519 forced on both."""
    big, rounds = b.sizes.big, b.sizes.rounds(15)
    for n in range(rounds):
        b.round_of_pushes(n, "push", big, 1, ("silver", "none"))
        b.round_of_pushes(n, "push-curve", big, 1, ("silver", "none"), CURVE)
        b.round_of_pushes(n, "push-100", 100, 1, ("silver",))
        b.round_of_pushes(n, "push-1000", 1000, 1, ("silver", "none"))


def back(b):
    """One-file pushes into the big tree, while the work after the answer to the one before is not waited for."""
    for n in range(b.sizes.rounds(10)):
        b.round_of_pushes(n, "back", b.sizes.big, 1, ("silver", "none"), settle=False)
    b.silver.settle("t%d" % b.sizes.big)
    for n in range(b.sizes.rounds(10)):  # and nobody in between
        b.round_of_pushes(n, "back-alone", b.sizes.big, 1, ("silver",), settle=False)
    b.silver.settle("t%d" % b.sizes.big)


def at_size(b, size):
    """One tree, 1 and 100 changed files, against what people do."""
    whole_trees = ("archive", "worktree") if size <= 50000 else ("archive",)
    for n in range(b.sizes.rounds(5 if size <= 10000 else 3)):
        b.round_of_pushes(n, "ways-%d-1" % size, size, 1, ("silver", "none", "checkout", *whole_trees))
        b.round_of_pushes(n, "ways-%d-100" % size, size, min(100, size - 1), ("silver", "none", "checkout"))


def ways(b):
    """The big tree, deployed in the ways people do."""
    at_size(b, b.sizes.big)


def sizes(b):
    """The same for the other sizes of tree."""
    for size in b.sizes.trees:
        if size != b.sizes.big:
            at_size(b, size)


def first(b):
    """The deployment alone of a tree whose objects are there: Silver's is a whole push, git's a local checkout and a sync."""
    size = b.sizes.big
    branch = "t%d" % size
    for n in range(b.sizes.rounds(3)):
        app, seed = "first%d" % n, b.seed_repo(branch)
        master = subprocess.check_output(["git", "-C", seed, "rev-parse", "master"], text=True).strip()
        words = ["git", "-C", b.trees.repo, "push", b.silver.url(app)]
        env = b.silver.git_environment()
        b.take("first-transport", "silver", b.time([*words, master + ":refs/heads/store"], env=env))
        b.sshd.make("none", app)
        b.take("first-transport", "none",
               b.time([*words[:-1], b.sshd.url("none", app), master + ":refs/heads/store"], env=env))
        b.silver.settle(app)
        for way in turn(("silver", "checkout", "checkout-2"), n):
            b.clean_disk()
            if way == "silver":
                b.take("first", way, b.time([*words, master + ":refs/heads/master"], env=env))
                b.facts.setdefault("first account", []).append(account(b, app))
                b.silver.settle(app)
                continue
            site = "%s/%s-%d" % (b.tmp, way, n)
            os.mkdir(site)
            workers = "2" if way == "checkout-2" else "1"
            command = 'git -c checkout.workers="$1" --work-tree="$2" checkout -q -f master && sync -f "$2"'
            b.take("first", way, b.time(["sh", "-c", command, "-", workers, site], cwd=seed,
                                        env=dict(os.environ, GIT_DIR=seed, GIT_INDEX_FILE=site + ".index")))


def account(b, app):
    try:
        with open(b.silver.app_dir(app) + "/current/times.ini") as f:
            return " ".join(f.read().split("\n")[1:]).replace(" = ", "=").strip()
    except OSError:
        return ""


def rollback(b):
    """A kept release of a static app becomes live again: each round goes back one and forward one."""
    app, site = "t%d" % b.sizes.big, b.tmp + "/rollback"
    b.need("silver", app)
    b.change(b.sizes.big, 1)
    b.push("silver", app)
    b.silver.settle(app)
    for n in (1, 2):
        os.makedirs("%s/releases/%d" % (site, n))
    for n in range(b.sizes.rounds(15)):
        for way in turn(("silver", "none"), n):
            if way == "silver":
                b.take("rollback", way, b.time(b.silver.ssh("rollback", app)))
                b.silver.settle(app)
            else:
                b.take("rollback", way, b.time(b.sshd.ssh("ln", "-sfn", "releases/%d" % (1 + n % 2), site + "/current")))
    b.change(b.sizes.big, 1)
    b.push("silver", app)
    b.silver.settle(app)


def cpu(b):
    """CPU on the server, of all its processes, for a one-file push."""
    branch, rounds = "t%d" % b.sizes.big, b.sizes.rounds(20)
    b.need("silver", branch)
    b.need("none", branch)
    for n in range(rounds):
        b.change(b.sizes.big, 1)
        for way in turn(("silver", "none"), n):
            server = b.silver if way == "silver" else b.sshd
            before = server.cpu_ms()
            b.push(way, branch)
            if way == "silver":
                b.take("cpu", "silver-answer", server.cpu_ms() - before)
                b.silver.settle(branch)
            else:
                wait_until(10, lambda: len(b.sshd.processes()) <= 2, "sshd's last session")
            b.take("cpu", way, server.cpu_ms() - before)


def disk_bytes(*paths):
    """Allocated bytes, each inode once."""
    out = subprocess.check_output(["du", "-s", "--block-size=1", *paths], text=True)
    return sum(int(line.split()[0]) for line in out.splitlines())


def disk(b):
    """What one more release takes when as many are there as are kept, with the idle work done."""
    branch, rounds = "t%d" % b.sizes.big, b.sizes.rounds(5)
    b.need("silver", branch)
    directory = b.silver.app_dir(branch)
    for _ in range(7):
        b.change(b.sizes.big, 1)
        b.push("silver", branch)
        b.silver.settle(branch)
    kept = len(os.listdir(directory + "/releases"))
    before = disk_bytes(directory)
    for _ in range(rounds):
        b.change(b.sizes.big, 1)
        b.push("silver", branch)
        b.silver.settle(branch)
        after = disk_bytes(directory)
        b.take("disk", "silver", (after - before) / 1024)
        before = after
    if len(os.listdir(directory + "/releases")) != kept:
        raise RuntimeError("disk: the number of kept releases still changes")
    one_tree = disk_bytes(directory + "/current/app/.")
    repo, releases = disk_bytes(directory + "/repo.git"), disk_bytes(directory + "/releases")
    b.facts["disk"] = {"releases kept": kept, "slots": len([s for s in os.listdir(directory + "/slots") if s.isdigit()]),
                       "app MiB": before / 2**20, "one tree MiB": one_tree / 2**20, "repo.git MiB": repo / 2**20,
                       "releases KiB": releases / 1024,
                       "each further slot MiB": (before - one_tree - repo - releases) / 2**20 /
                       max(1, len([s for s in os.listdir(directory + "/slots") if s.isdigit()]) - 1)}


def verify(b):
    """Every file of the live tree hashed: `silver verify` by ssh, and `git hash-object` of the same files there."""
    size = b.sizes.big
    branch = "t%d" % size
    b.need("silver", branch)
    names = subprocess.check_output(["git", "-C", b.trees.repo, "ls-tree", "-r", "--name-only", b.trees.tip[branch]])
    site = os.path.realpath(b.silver.app_dir(branch) + "/current/app")
    git = ["git", "--git-dir", b.trees.repo, "hash-object", "--no-filters", "--stdin-paths"]
    for n in range(-1, b.sizes.rounds(5)):  # once to have them all in memory
        for way in turn(("silver", "hash-object"), n):
            start = time.perf_counter()
            if way == "silver":
                run(*b.silver.ssh("verify", branch), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            else:
                run(*git, cwd=site, input=names, stdout=subprocess.DEVNULL)
            if n >= 0:
                b.take("verify", way, (time.perf_counter() - start) * 1000)


def at_once(b, row, urls, contender):
    """All pushes started together; milliseconds until the last is over, and how many were lost."""
    env, children = b.silver.git_environment(), []
    oid = b.trees.tip["crowd"]
    start = time.perf_counter()
    for i, url in enumerate(urls):
        with open("%s/crowd.%d" % (b.tmp, i), "wb") as said:
            children.append(subprocess.Popen(["git", "-C", b.trees.repo, "push", url, oid + ":refs/heads/master"], env=env,
                                             stdin=subprocess.DEVNULL, stdout=said, stderr=said))
    lost = sum(child.wait() != 0 for child in children)
    b.take(row, contender, (time.perf_counter() - start) * 1000)
    lost_before, tried = b.facts.setdefault("lost", {}).get(row + " " + contender, (0, 0))
    b.facts["lost"][row + " " + contender] = (lost_before + lost, tried + len(urls))


def crowd(b):
    """Pushes to as many apps at once; the first pushes, which create the apps, are a row of their own."""
    many, few = b.sizes.crowd, b.sizes.small_crowd
    b.trees.commit("crowd", SMALL_FILES)
    for i in range(many):
        app = "crowd%d" % i
        b.take("create", "silver", b.push("silver", "crowd", app=app))
        b.silver.settle(app)
        b.sshd.make("none", app)
        if i < 10:
            b.take("create", "none", b.push("none", "crowd", app=app))
        else:
            run("git", "-C", b.sshd.repo("none", app), "fetch", "-q", b.trees.repo, "crowd:refs/heads/master")
    contenders = {"silver": lambda app: b.silver.url(app), "none": lambda app: b.sshd.url("none", app),
                  "wide": lambda app: b.wide.url("none", app)}
    for row, n in (("crowd", many), ("few", few)):
        apps = ["crowd%d" % i for i in range(n)]
        for number in range(b.sizes.rounds(15) // 3):
            for way in turn(list(contenders), number):
                # a commit each: what the one before lost would make a later one larger
                b.trees.commit("crowd", {"static/version": b"%s %s %d\n" % (row.encode(), way.encode(), number)})
                at_once(b, row, [contenders[way](app) for app in apps], way)
                b.clean_disk()
                if way == "silver":
                    b.silver.settle(*apps)


def lsremote(b):
    """A handshake and nothing."""
    b.need("silver", "t1000")
    b.need("none", "t1000")
    for n in range(b.sizes.rounds(15)):
        for way in turn(("silver", "none"), n):
            for row, kex in (("lsremote", ""), ("lsremote-curve", CURVE)):
                words = ["git", "ls-remote", b.url(way, "t1000")]
                b.take(row, way, b.time(words, env=b.silver.git_environment(kex)))


def blob(b):
    """A blob that does not compress, pushed to a branch that is not deployed, then deployed."""
    size = b.sizes.blob_mb << 20
    files = dict(SMALL_FILES)
    run("git", "-C", b.trees.repo, "config", "core.compression", "0")
    b.trees.commit("blob", files)
    b.push("silver", "blob")
    b.sshd.make("none", "blob")
    b.push("none", "blob")
    for n in range(b.sizes.rounds(3)):
        b.trees.commit("blob", {"blob/b": os.urandom(size)})
        for way in turn(("silver", "none"), n):
            b.clean_disk()
            b.take("blob", way, size / 1e3 / b.push(way, "blob", ref="refs/heads/blob"))
        b.clean_disk()
        b.take("blob-deploy", "silver", size / 1e3 / b.push("silver", "blob"))
        b.silver.settle("blob")
    run("git", "-C", b.trees.repo, "config", "--unset", "core.compression")


def rss(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def memory(b):
    """Resident memory of the listener, and of a session with somebody in it."""
    b.need("silver", "t1000")
    client = subprocess.Popen(b.silver.ssh("run", "t1000", "sleep", "33"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(10, lambda: b.silver.pids_of("sleep 33"), "the command of a session")
        listener = [pid for pid in b.silver.pids_of("sbin/silverd --dir") if pid != b.silver.meter.pid]
        b.take("rss-silverd", "silver", max(map(rss, listener)))
        b.take("rss-session", "silver", max(map(rss, b.silver.pids_of("silver-session"))))
    finally:
        client.terminate()
        client.wait()


def python(b):
    """A Python app: until the new code answers, beside a static app and gunicorn alone."""
    measure_python(b)


ROWS = {f.__name__: f for f in (push, back, ways, first, rollback, cpu, disk, verify, crowd, python, django, flips, hygiene, lsremote, blob, memory, sizes)}
# Which trees a row needs: those of the sizes, "big", or all.
TREES = {"push": (100, 1000, "big"), "lsremote": (1000,), "memory": (1000,), "sizes": "all",
         **dict.fromkeys(("back", "ways", "first", "rollback", "cpu", "disk", "verify"), ("big",))}
