"""The printed table and bench.json: medians with quartiles, ratios, and for each target pass or MISS.

Nothing here ends the run with a failure: a machine that is busy with other things is no reason to be red.
"""
import json
import statistics

LINE = "%-56s %20s %20s %9s %10s  %s"


def shown(values, digits=0):
    """median (lower quartile-upper quartile); of fewer than four samples, the least and the greatest."""
    if not values:
        return "-"
    v = sorted(values)
    low, high = (v[0], v[-1]) if len(v) < 4 else statistics.quantiles(v, n=4)[::2]
    return "%.*f (%.*f-%.*f)" % (digits, statistics.median(v), digits, low, digits, high)


class Table:
    def __init__(self, b, rows):
        self.b, self.rows, self.out, self.verdicts = b, rows, [], []

    def say(self, text=""):
        self.out.append(text)

    def values(self, row, contender):
        return self.b.samples.get((row, contender), [])

    def heading(self, *columns):
        self.say()
        self.say((LINE % columns).rstrip())

    def line(self, title, ours, theirs="", value=None, aim=None, judged=True, digits=2, least=False):
        """One row; `value` is what the target speaks of. Where quick mode shrank what it means, it is not judged."""
        if value is None and not ours:
            return
        verdict = ""
        if aim is not None and value is not None:
            verdict = ("pass" if (value >= aim if least else value <= aim) else "MISS") if judged else "not judged"
            self.verdicts.append({"row": title, "value": value, "target": aim, "at least": least, "verdict": verdict})
        self.say((LINE % (title, ours, theirs, "" if value is None else "%.*f" % (digits, value),
                          "" if aim is None else "%s %g" % (">=" if least else "<=", aim), verdict)).rstrip())

    def ratio(self, title, row, aim=None, ours="silver", theirs="none", row2=None, digits=0, **options):
        a, b = self.values(row, ours), self.values(row2 or row, theirs)
        if a and b:
            self.line(title, shown(a, digits), shown(b, digits), statistics.median(a) / statistics.median(b), aim, **options)

    # --- the parts ---------------------------------------------------------------------------------

    def pushes(self):
        big, full = self.b.sizes.big, not self.b.sizes.quick
        name = "1 file of {:,}".format(big).replace(",", " ")
        self.heading("median (quartiles), ms where no unit is named", "silver", "OpenSSH", "ratio", "target", "")
        self.ratio("push %s / no hook" % name, "push", 0.4, judged=full)
        self.ratio("  curve25519 on both / no hook", "push-curve", 0.75, judged=full)
        self.ratio("  / the same push into 100 files (Silver too)", "push", 1.2, theirs="silver", row2="push-100", judged=full)
        self.ratio("  / archive | tar into a new release", "ways-%d-1" % big, 0.05, theirs="archive", judged=full)
        self.ratio("  / checkout -f in post-receive", "ways-%d-1" % big, theirs="checkout")
        self.ratio("  / git worktree add", "ways-%d-1" % big, theirs="worktree")
        self.ratio("push 1 file of 1 000 / no hook", "push-1000", 0.6)
        self.ratio("pushes back to back (idle work not awaited) / no hook", "back")
        self.ratio("  nobody's turn in between / the idle work awaited", "back-alone", theirs="silver", row2="push")

    def others(self):
        b, full = self.b, not self.b.sizes.quick
        big = "{:,}".format(b.sizes.big).replace(",", " ")
        self.ratio("first deploy of %s files / git checkout + sync" % big, "first", 0.6, theirs="checkout", judged=full)
        self.ratio("  / the same with checkout.workers=2", "first", theirs="checkout-2")
        self.ratio("  before it: %s files received, not deployed" % big, "first-transport")
        self.ratio("rollback to a kept release / ssh host ln -sfn", "rollback", 0.5)
        self.cpu()
        self.disk()
        self.ratio("silver verify of %s files / git hash-object of them" % big, "verify", 2, theirs="hash-object", judged=full)
        for row, n in (("crowd", b.sizes.crowd), ("few", b.sizes.small_crowd)):
            aim = 0.4 if row == "crowd" else None
            self.ratio("%d pushes to %d apps at once / MaxStartups 1000" % (n, n), row, aim, theirs="wide", judged=full)
            self.ratio("  / sshd's default configuration", row, theirs="none")
            self.lost(row, full)
        self.python()
        self.load()
        self.ratio("first small push, creates the app", "create")
        self.ratio("git ls-remote", "lsremote")
        self.ratio("  curve25519 on both", "lsremote-curve")
        self.ratio("a blob of %d MB to a branch, MB/s" % b.sizes.blob_mb, "blob", 0.9, least=True, judged=full)
        if self.values("blob-deploy", "silver"):
            self.line("  there already, deployed, MB/s", shown(self.values("blob-deploy", "silver")))
        for row, aim in (("silverd", 4), ("session", 10)):
            values = self.values("rss-" + row, "silver")
            if values:
                self.line("%s resident, MB" % row, shown(values, 1), "", max(values), aim, digits=1)

    def cpu(self):
        ours, theirs = self.values("cpu", "silver"), self.values("cpu", "none")
        if not ours:
            return
        # /proc counts in ticks of 10 ms: the mean over many pushes is exact, a single one is not
        value = statistics.mean(ours)
        self.line("server CPU of such a push, all processes, mean, ms", "%.1f" % value, "%.1f" % statistics.mean(theirs),
                  value, 60, digits=1)
        self.line("  of it until the answer", "%.1f" % statistics.mean(self.values("cpu", "silver-answer")))

    def disk(self):
        values = self.values("disk", "silver")
        if values:
            self.line("disk of one more release, 1 file changed, KiB", shown(values), "", statistics.median(values), 256 + 20, digits=0)
            for what, number in self.b.facts["disk"].items():
                self.line("  %s" % what, "%.*f" % (1 if what.endswith("B") else 0, number))

    def lost(self, row, full):
        for contender, title in (("silver", "silver"), ("wide", "MaxStartups 1000"), ("none", "sshd's default")):
            lost, tried = self.b.facts.get("lost", {}).get("%s %s" % (row, contender), (0, 0))
            if tried:
                self.line("  lost: %s" % title, "%d of %d" % (lost, tried), "", lost, 0 if contender == "silver" else None,
                          digits=0)

    def python(self):
        m = {way: self.b.median("python", way) for way in ("python", "static", "gunicorn")}
        if m["gunicorn"]:
            self.line("Python: push until the new code answers, minus static's", "%.0f - %.0f" % (m["python"], m["static"]),
                      "gunicorn %.0f" % m["gunicorn"], (m["python"] - m["static"]) / m["gunicorn"], 1.2)

    def load(self):
        self.ratio("Django: a second release's start / the first one again", "django", 1, theirs="again")
        self.ratio("  / the first one's first", "django", theirs="first")
        facts = self.b.facts.get("flips")
        self.ratio("p99 while releases flip every 200 ms / without, ms", "flips", 1.5, theirs="steady", digits=2)
        if facts:
            self.line("  failed of {requests} requests, in {flips} flips".format(**facts), facts["failed"], "", facts["failed"], 0,
                      digits=0)
            self.line("  a request of 10 s meanwhile", facts["10 s request"])
        for row in sorted({row for row, _ in self.b.samples if row.startswith("hygiene-")}):
            self.ratio("p99 beside an app's %s / alone, ms" % row[8:], row, 1.5, theirs="steady", digits=2)
            self.line("  failed", self.b.facts["hygiene lost"][row[8:]])

    def by_size(self):
        if not {"ways", "sizes"} & set(self.rows):
            return
        line = "%8s %8s %18s %18s %20s %22s %22s"
        self.say()
        self.say(line % ("files", "changed", "silver", "no hook", "checkout -f", "archive | tar", "worktree add"))
        for size in self.b.sizes.trees:
            for changed in (1, 100):
                cells = [shown(self.values("ways-%d-%d" % (size, changed), way))
                         for way in ("silver", "none", "checkout", "archive", "worktree")]
                if cells[0] != "-":
                    self.say(line % (size, min(changed, size - 1), *cells))

    def text(self, machine):
        self.say("%s; %s; %s; git %s, OpenSSH %s, silver %s" % (machine["cpu"], machine["kernel"], machine["filesystem"],
                 machine["git"], machine["openssh"], machine["silver"]))
        self.say("load when it began and ended: %s" % machine["load"])
        self.say("durable: silver, and git checkout + sync; nothing else here syncs: no hook, checkout -f, archive | tar, worktree, ln")
        self.pushes()
        self.others()
        self.by_size()
        for account in self.b.facts.get("first account", []):
            self.say("first deploy, its own account: " + account)
        missed = [v for v in self.verdicts if v["verdict"] == "MISS"]
        self.say()
        self.say("%d targets: %d passed, %d missed, %d not judged" %
                 (len(self.verdicts), sum(v["verdict"] == "pass" for v in self.verdicts), len(missed),
                  sum(v["verdict"] == "not judged" for v in self.verdicts)))
        return "\n".join(self.out)

    def json(self, machine):
        samples = {}
        for (row, contender), values in self.b.samples.items():
            samples.setdefault(row, {})[contender] = {"median": statistics.median(values), "n": len(values),
                                                      "samples": [round(v, 3) for v in values]}
        return json.dumps({"machine": machine, "quick": self.b.sizes.quick, "rows": list(self.rows), "samples": samples,
                           "facts": self.b.facts, "targets": self.verdicts}, indent=1)


