"""gunicorn's settings for a release; a gunicorn.conf.py at the root of the app may change them.

One worker with four threads: the quickest start, one copy of the app in memory, and a slow request
does not hold up the others. The socket is inherited (LISTEN_FDS), so it survives every worker.
"""
import os

workers = 1
worker_class = "gthread"
threads = 4
timeout = 60
# nginx is the only one that can reach the socket, and it sets these headers itself
forwarded_allow_ips = "*"
# a heartbeat file on a busy disk would make healthy workers look hung
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
loglevel = "warning"
accesslog = None
errorlog = "-"

_own = os.path.join(os.environ.get("SILVER_APP_DIR", "."), "gunicorn.conf.py")
if os.path.exists(_own):
    with open(_own, encoding="utf-8") as _file:
        exec(compile(_file.read(), _own, "exec"))
