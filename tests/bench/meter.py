#!/usr/bin/env python3
"""meter.py COMMAND...: runs a server so that none of its processes is lost to the account.

The meter adopts what its server's processes leave behind, and reaps it: the CPU time of every process
that was ever started below it stands in /proc, either with the living or in their parents' sums.
"""
import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_PDEATHSIG, signal.SIGTERM)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            sys.exit("meter: prctl: " + os.strerror(ctypes.get_errno()))
    server = subprocess.Popen(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = None
    while True:
        try:
            pid, status_of = os.wait()
        except ChildProcessError:
            break
        if pid == server.pid:
            status = status_of
    sys.exit(os.waitstatus_to_exitcode(status) & 127)


main()
