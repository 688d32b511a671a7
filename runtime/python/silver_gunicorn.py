"""gunicorn's settings for a release; a gunicorn.conf.py at the root of the app may change them.

Two workers with sixteen threads each, whatever the machine: one worker can be replaced, after a crash
or a request that hangs, while the other answers, and slow requests do not hold up quick ones. The
second starts when the first has loaded the app, so a release is up as quickly as with one. The
socket is inherited (LISTEN_FDS), so it survives every worker.
"""
import os
import select
import signal

workers = 2
worker_class = "silver_worker.Worker"
threads = 16
worker_connections = threads  # what no thread is free for is another worker's (silver_worker.py)
keepalive = 0  # nginx opens a connection for each request
timeout = 60
# nginx is the only one that can reach the socket, and it sets these headers itself
forwarded_allow_ips = "*"
# a heartbeat file on a busy disk would make healthy workers look hung
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
loglevel = "warning"
accesslog = None
errorlog = "-"



_loaded_read, _loaded_write = os.pipe()
os.set_blocking(_loaded_write, False)


def post_fork(server, worker):
    """The second worker of all waits for the first; a later one replaces one that is gone."""
    if worker.age == 2:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until the worker sets its own
        select.select([_loaded_read], [], [], 30)


def post_worker_init(worker):
    try:
        os.write(_loaded_write, b".")
    except BlockingIOError:
        pass  # it has long been full of them


_own = os.path.join(os.environ.get("SILVER_APP_DIR", "."), "gunicorn.conf.py")
if os.path.exists(_own):
    with open(_own, encoding="utf-8") as _file:
        exec(compile(_file.read(), _own, "exec"))
