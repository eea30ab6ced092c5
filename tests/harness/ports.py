"""Free ports of this machine, each given once: to the harness, and to tests that run beside others.

Most programs take a port of the system's choice by listening on 0. Where one has to be known before
its program starts, or to be the same after a second start, it is taken here.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import random
import socket
import tempfile

# Below the ports that Linux gives to outgoing connections (32768 to 60999), any of which could take
# one between its choice and its use.
FIRST, END = 20_000, 32_000

# Open files whose locks say that a port is in use; they end with the process.
HELD = []


def free_port(preferred=0):
    """A loopback port that nobody listens on and no other run was given: the preferred one, or any.

    It stays with this process until that ends.
    """
    candidates = [preferred] if preferred else []
    candidates += random.SystemRandom().sample(range(FIRST, END), 200)
    for port in candidates:
        if ours(port) and unused(port):
            return port
    raise RuntimeError("no free port on 127.0.0.1")


def ours(port):
    """Takes the port's lock, unless another process or an earlier call has it."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"gantry-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = open(folder / str(port), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    HELD.append(lock)
    return True


def unused(port):
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
