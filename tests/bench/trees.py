"""The developer's repository: trees of N files nested like a vendored Python app, and commits on them.

Content is the same at every run: lines of an invented vocabulary, 1 to 20 kB a file, that compress as source
does. The tree of N files is the first N of one list, so all sizes share their blobs and are made once.
"""
import random
import subprocess

WORDS_A = "get set make load read open find parse build check apply merge split match write".split()
WORDS_B = "path name item node tree value field index table label state entry frame query token".split()
FILES_A_PACKAGE, FILES_A_DIRECTORY = 120, 12
VOCABULARY, WINDOW, LINE = 20000, 400, 57  # lines; LINE: their mean length in bytes


def vocabulary(rand):
    names = ["%s_%s%s" % (rand.choice(WORDS_A), rand.choice(WORDS_B), rand.choice(["", "s", "_at", "_%d" % i]))
             for i in range(3000)]
    shapes = ["    %s = %s(%s)\n", "    if %s is not %s or %s:\n", "        return self.%s(%s, key=%s)\n",
              "def %s(self, %s, %s=None):\n", "        raise ValueError(\"%s: no %s in %%r\" %% %s)\n",
              "from .%s import %s, %s\n", "    # %s before %s, or %s would be read twice\n", "\n%s.%s = %s\n"]
    return [rand.choice(shapes) % tuple(rand.choice(names) for _ in range(3)) for _ in range(VOCABULARY)]


def path(i):
    package, rest = divmod(i, FILES_A_PACKAGE)
    directory, j = divmod(rest, FILES_A_DIRECTORY)
    if i % 50 == 49:
        return "static/%02d/asset_%d.js" % (package % 40, i)
    name = "%s_%s_%d.py" % (WORDS_A[i % 15], WORDS_B[i // 15 % 15], j)
    where = ["", "core/", "core/io/", "utils/", "utils/compat/", "tests/", "tests/data/", "vendor/urls/", "vendor/urls/util/",
             "ext/a/b/"][directory]
    return "lib/python/package%03d/%s%s" % (package, where, name)


class Trees:
    def __init__(self, repo, sizes):
        self.repo, self.tip = repo, {}
        self.lines = vocabulary(random.Random(1))
        subprocess.run(["git", "init", "-q", "--bare", "--template=", repo], check=True)
        for key, value in (("gc.auto", "0"), ("core.bigFileThreshold", "1m")):
            subprocess.run(["git", "-C", repo, "config", key, value], check=True)
        self.make_sizes(sorted(sizes))

    def content(self, seed):
        rand = random.Random(seed)
        size = 1000 * 20 ** rand.random()
        at = rand.randrange(VOCABULARY - WINDOW)
        lines = rand.choices(self.lines[at:at + WINDOW], k=int(size / LINE))
        return ("# %s\n" % seed + "".join(lines)).encode()

    def fast_import(self, write):
        """Has `write` write a stream of git fast-import; the object ids of the marks that it asks for, in order."""
        git = subprocess.Popen(["git", "-C", self.repo, "fast-import", "--quiet", "--depth=0", "--force", "--done"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        write(git.stdin)
        git.stdin.write(b"done\n")
        git.stdin.close()
        answers = git.stdout.read().decode().split()
        if git.wait() != 0:
            raise RuntimeError("git fast-import failed")
        return answers

    def make_sizes(self, sizes):
        def write(out):
            ini = b"[production]\nplatform = static\n"
            out.write(b"blob\nmark :1\ndata %d\n%s\n" % (len(ini), ini))
            for i in range(sizes[-1] if sizes else 0):
                data = self.content(i)
                out.write(b"blob\nmark :%d\ndata %d\n%s\n" % (i + 10, len(data), data))
            for n, size in enumerate(sizes):
                self.write_commit(out, "t%d" % size, 2 + n, None, "%d files" % size)
                out.write(b"M 100644 :1 app.ini\n")
                out.write("".join("M 100644 :%d %s\n" % (i + 10, path(i)) for i in range(size - 1)).encode())
                out.write(b"\nget-mark :%d\n" % (2 + n))
        for size, oid in zip(sizes, self.fast_import(write)):
            self.tip["t%d" % size] = oid

    def write_commit(self, out, branch, mark, parent, subject):
        out.write(("commit refs/heads/%s\nmark :%d\ncommitter Test <test@example.com> 1700000000 +0000\ndata %d\n%s\n"
                   % (branch, mark, len(subject), subject)).encode())
        if parent:
            out.write(("from %s\n" % parent).encode())

    def commit(self, branch, files):
        """A commit on `branch` that sets `files` (path -> bytes); its oid."""
        def write(out):
            self.write_commit(out, branch, 1, self.tip.get(branch), "change")
            for name, data in files.items():
                out.write(b"M 100644 inline %s\ndata %d\n" % (name.encode(), len(data)))
                out.write(data)
                out.write(b"\n")
            out.write(b"\nget-mark :1\n")
        self.tip[branch] = self.fast_import(write)[0]
        return self.tip[branch]

    def change(self, size, count, seed):
        """A commit on the tree of `size` files that changes `count` of them."""
        step = max(1, (size - 1) // count)
        return self.commit("t%d" % size, {path((seed * 7919 + j * step) % (size - 1)): self.content("%s/%d/%d" % (seed, size, j))
                                         for j in range(count)})
