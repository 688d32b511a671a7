"""The servers that are measured: a silverd, and OpenSSH's sshd with bare repositories, each below a meter.

Both run on loopback with a configuration of their own and the settings they are shipped with; the client is
OpenSSH's with the same options for both.
"""
import fcntl
import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
CURVE = "-o KexAlgorithms=curve25519-sha256"


def wait_until(seconds, holds, what):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("waited %d s for %s" % (seconds, what))
        time.sleep(0.02)


def run(*argv, **options):
    return subprocess.run(argv, check=True, **options)


class Server:
    """A program below a meter (meter.py), and the ssh client that reaches it."""

    def __init__(self, tmp):
        self.tmp, self.meter, self.port, self.user = tmp, None, None, None

    def start(self, argv, **options):
        self.meter = subprocess.Popen([sys.executable, HERE + "/meter.py", *argv], **options)

    def stop(self):
        if self.meter and self.meter.poll() is None:
            self.meter.terminate()
            try:
                self.meter.wait(20)
            except subprocess.TimeoutExpired:
                for pid in self.processes():
                    os.kill(pid, 9)

    def processes(self):
        """pid -> the fields of its stat after the name, of all below the meter."""
        stats = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/stat" % name) as f:
                        stats[int(name)] = f.read().rpartition(")")[2].split()
                except OSError:
                    pass
        children = {}
        for pid, stat in stats.items():
            children.setdefault(int(stat[1]), []).append(pid)
        ours, todo = {}, list(children.get(self.meter.pid, []))
        while todo:
            pid = todo.pop()
            ours[pid] = stats[pid]
            todo += children.get(pid, [])
        with open("/proc/%d/stat" % self.meter.pid) as f:
            ours[self.meter.pid] = f.read().rpartition(")")[2].split()
        return ours

    def cpu_ms(self):
        """CPU that all processes below the meter have ever taken, the living and the dead."""
        return sum(int(x) for stat in self.processes().values() for x in stat[11:15]) * 1000 / TICK

    def pids_of(self, words):
        found = []
        for pid in self.processes():
            try:
                with open("/proc/%d/cmdline" % pid) as f:
                    if words in f.read().replace("\0", " "):
                        found.append(pid)
            except OSError:
                pass
        return found

    def ssh_words(self, kex=""):
        return "ssh -F %s/ssh_config -i %s/key %s" % (self.tmp, self.tmp, kex)

    def ssh(self, *command, kex=""):
        return [*self.ssh_words(kex).split(), "-p", str(self.port), self.user + "@127.0.0.1", *command]

    def git_environment(self, kex=""):
        return dict(os.environ, GIT_SSH_COMMAND=self.ssh_words(kex))


def make_client(tmp):
    """The client's key and configuration, for all servers."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", tmp + "/key")
    with open(tmp + "/ssh_config", "w") as f:
        f.write("IdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile %s/known_hosts\nGlobalKnownHostsFile /dev/null\n"
                "StrictHostKeyChecking accept-new\nHashKnownHosts no\nBatchMode yes\nConnectTimeout 60\nLogLevel ERROR\n" % tmp)
    with open(tmp + "/gitconfig", "w") as f:
        f.write("[user]\n\tname = Test\n\temail = test@example.com\n[init]\n\tdefaultBranch = master\n[safe]\n\tdirectory = *\n")


class Silver(Server):
    def __init__(self, tmp, build):
        super().__init__(tmp)
        self.user, self.state, self.usr, self.http = "silver", tmp + "/node", tmp + "/usr", None
        run("make", "-s", "-C", HERE + "/../..", "install", "B=" + build, "PREFIX=" + self.usr, stdout=subprocess.DEVNULL)

    def begin(self):
        with open(self.tmp + "/silverd.log", "w") as log:
            self.start([self.usr + "/sbin/silverd", "--dir", self.state, "--ssh", "127.0.0.1:0", "--http", "127.0.0.1:0"],
                       stdout=subprocess.PIPE, stderr=log)
        ready = self.meter.stdout.readline().decode()
        ports = re.search(r"ssh=127\.0\.0\.1:(\d+).*http=127\.0\.0\.1:(\d+)", ready)
        if not ports:
            raise RuntimeError("silverd said '%s'" % ready)
        self.port, self.http = int(ports[1]), int(ports[2])
        with open(self.tmp + "/key.pub") as key:
            run(self.usr + "/bin/silver", "--dir", self.state, "user", "add", "bench", "--role", "admin", stdin=key,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def url(self, app):
        return "ssh://silver@127.0.0.1:%d/%s" % (self.port, app)

    def app_dir(self, app):
        return "%s/apps/%s" % (self.state, app)

    def record(self, app, key, name="record.ini"):
        with open("%s/current/%s" % (self.app_dir(app), name)) as f:
            return re.search(r"^%s *= *(.*)" % key, f.read(), re.M)[1]

    def idle(self, apps):
        """Nothing works on any of the apps at this moment."""
        if self.pids_of("silver-deploy settle "):
            return False
        for app in apps:
            with open(self.app_dir(app) + "/lock") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return False
        return True

    def settle(self, *apps):
        """Waits until the work after the answer is done; twice, for it starts an instant after the answer."""
        for _ in range(2):
            time.sleep(0.1)
            wait_until(180, lambda: self.idle(apps), "the idle work")

    def remove_users(self):
        """The users that the node, run as root, made for its apps."""
        if os.getuid() != 0:
            return
        uids = set()
        for kind, inner in (("apps", "/repo.git"), ("data", "")):
            directory = "%s/%s" % (self.state, kind)
            for app in os.listdir(directory) if os.path.isdir(directory) else []:
                if os.path.exists(directory + "/" + app + inner):
                    uids.add(os.stat(directory + "/" + app + inner).st_uid)
        doomed = []
        for uid in uids - {0}:
            try:
                user = pwd.getpwuid(uid)
                group = grp.getgrgid(user.pw_gid).gr_name
            except KeyError:
                continue
            if "silver app" in user.pw_gecos:
                doomed.append((user.pw_name, group))
        for tool, names in (("userdel", [user for user, _ in doomed]), ("groupdel", sorted({group for _, group in doomed}))):
            for name in names:
                subprocess.run([tool, name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Sshd(Server):
    """OpenSSH's server with its default configuration and `lines`; repositories are bare/WAY/APP.git.

    Its sessions get an empty home: sshd runs commands by the login shell, bash then reads ~/.bashrc, and what somebody keeps
    there (a version manager takes 0.2 s) is not OpenSSH's to answer for.
    """

    def __init__(self, tmp, name, *lines):
        super().__init__(tmp)
        self.dir, self.lines, self.user = "%s/sshd-%s" % (tmp, name), lines, pwd.getpwuid(os.getuid()).pw_name

    def begin(self):
        home = self.dir + "/home"
        os.makedirs(home)
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir + "/host")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with open(self.dir + "/config", "w") as f:
            f.write("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nPidFile none\nAuthorizedKeysFile %s/key.pub\nStrictModes no\n"
                    "SetEnv HOME=%s\n" % (self.port, self.dir, self.tmp, home) + "".join(line + "\n" for line in self.lines))
        with open(self.dir + "/log", "w") as log:
            self.start(["/usr/sbin/sshd", "-D", "-e", "-f", self.dir + "/config"], stderr=log)

        def listens():
            with open(self.dir + "/log") as log:
                return "Server listening" in log.read()
        wait_until(10, listens, "sshd")

    def url(self, way, app):
        return "ssh://%s@127.0.0.1:%d%s" % (self.user, self.port, self.repo(way, app))

    def repo(self, way, app):
        return "%s/bare/%s/%s.git" % (self.tmp, way, app)

    def make(self, way, app, seed=None):
        """A repository of that way; with the objects and the branch of `seed`, shared by hard links: git replaces files, it
        never writes into one."""
        repo = self.repo(way, app)
        os.makedirs(os.path.dirname(repo), exist_ok=True)
        if seed:
            run("cp", "-al", seed, repo)
        else:
            run("git", "init", "-q", "--bare", "--template=", repo)
        os.makedirs(repo + ".site/releases")
        if way != "none":
            os.makedirs(repo + "/hooks", exist_ok=True)
            shutil.copy(HERE + "/contenders/" + way, repo + "/hooks/post-receive")
