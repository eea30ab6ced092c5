"""Serves a small real model with llama.cpp's own HTTP server, on loopback only.

Called by the harness: serve.py MODEL_FILE PORT NAME. It prints `ready HOST:PORT` when it answers,
and ends when it is told to (SIGTERM, SIGINT) or when its parent is gone.
"""

import os
import signal
import sys
import threading

import xllamacpp


def main() -> None:
    """Starts the server and waits."""
    model, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {name}
    params.port = port
    params.n_ctx = 4096
    params.n_parallel = 2
    params.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)
    params.endpoint_metrics = True
    params.use_jinja = True
    params.warmup = False
    server = xllamacpp.Server(params)
    print("ready", server.listening_address, flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    while not stop.wait(1.0):
        if os.getppid() != parent:
            break
    # The server's threads do not end by themselves.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
