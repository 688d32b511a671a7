"""gunicorn's worker for a release: threads for a WSGI object, an event loop for an ASGI one.

It takes no more connections than it has threads, so a worker whose threads are all busy leaves the
next request to the other workers. A request that takes longer than the timeout cannot be stopped in
Python, so the whole worker is replaced: it takes no more connections, what else it was answering
may finish, and then it goes, with the thread that hangs.
"""
import os
import resource
import signal
import sys
import threading
import time
import traceback

from gunicorn.workers.gthread import ThreadWorker

WATCH_SECONDS = 0.5
MEMORY_SHARE = 0.9
STACKS = 16  # launch.c


class Worker(ThreadWorker):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._running = {}  # thread id -> (when its request began, its path)

    def run(self):
        asgi = getattr(self.wsgi, "silver_asgi", None)
        _watch_memory(self.log)
        if asgi is not None:
            return _serve_asgi(self, asgi)
        threading.Thread(target=self._watch, name="silver-watch", daemon=True).start()
        super().run()
        if self._running:  # at its end Python would wait for the threads that hang
            self.tmp.close()
            sys.stderr.flush()
            os._exit(0)

    def handle_request(self, req, conn):
        thread = threading.get_ident()
        self._running[thread] = (time.monotonic(), req.path)
        try:
            return super().handle_request(req, conn)
        finally:
            del self._running[thread]

    def _watch(self):
        while self.alive:
            time.sleep(WATCH_SECONDS)
            now = time.monotonic()
            for thread, (begin, path) in list(self._running.items()):
                if now - begin > self.cfg.timeout:
                    self._retire(thread, path)
                    return

    def _retire(self, thread, path):
        frame = sys._current_frames().get(thread)
        where = "".join(traceback.format_stack(frame)) if frame else ""
        self.log.critical(
            "silver: a request for %s takes more than %d s; its worker is replaced. It is here:\n%s",
            path, self.cfg.timeout, where)
        self.alive = False


def _watch_memory(log):
    """A worker that comes near its limit is replaced before allocations fail in the middle of requests."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if limit == resource.RLIM_INFINITY:
        return
    # what runtime/limits.c adds for the stacks of threads
    limit -= STACKS * (stack if stack != resource.RLIM_INFINITY else 8 << 20)

    def watch():
        while True:
            time.sleep(WATCH_SECONDS)
            with open("/proc/self/statm", encoding="ascii") as statm:
                _, resident, shared = [int(n) for n in statm.read().split()[:3]]
            used = (resident - shared) * resource.getpagesize()
            if used > limit * MEMORY_SHARE:
                log.critical("silver: a worker has %d MB of at most %d; it is replaced", used >> 20, limit >> 20)
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="silver-memory", daemon=True).start()


def _serve_asgi(worker, application):
    """As uvicorn's own worker does it, but told only after the object was loaded."""
    import asyncio

    import uvicorn

    async def notify():
        worker.notify()

    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        proxy_headers=True,
        forwarded_allow_ips="*",  # nginx alone reaches the socket
        timeout_notify=1,
        callback_notify=notify,
        limit_max_requests=worker.max_requests if worker.cfg.max_requests else None,
    )
    for number in worker.SIGNALS:  # the server sets its own
        signal.signal(number, signal.SIG_DFL)
    server = uvicorn.Server(config)
    asyncio.run(server.serve(sockets=worker.sockets))
    if not server.started:
        from gunicorn.arbiter import Arbiter

        sys.exit(Arbiter.WORKER_BOOT_ERROR)
