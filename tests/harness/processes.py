"""Child processes that are always ended: started apart from the terminal, ended by their pid.

Used by dev.py and client_tests.py. It needs nothing but the standard library.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request


class Failure(Exception):
    """A step failed; the text says what failed and what to do."""


class Child:
    """A process with its output in a log file. It gets no signals from the terminal."""

    def __init__(self, name, command, log=None, env=None, cwd=None):
        self.name = name
        self.log = pathlib.Path(log) if log else None
        sink = open(self.log, "ab") if self.log else None
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT if sink else None,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        if sink:
            sink.close()

    def output(self):
        """What the process has written so far."""
        return self.log.read_text(errors="replace") if self.log and self.log.exists() else ""

    def signal(self, number):
        """Sends a signal, if the process is still there."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, patience_s=15.0):
        """Asks the process to end, waits, and ends it by force when it does not."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_for(self, what, ready, timeout_s=60.0):
        """Waits until `ready()` returns something true, and returns that.

        Raises Failure with the end of the log when the process ends first or takes too long.
        """
        until = time.monotonic() + timeout_s
        while True:
            found = ready()
            if found:
                return found
            code = self.process.poll()
            if code is not None:
                raise Failure(f"{self.name} ended with {code} before {what}.\n{self.tail()}")
            if time.monotonic() > until:
                raise Failure(f"{self.name}: not {what} after {timeout_s:.0f} s.\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, lines=30):
        """The end of the log, indented, with the place of the whole."""
        if not self.log:
            return ""
        end = self.output().splitlines()[-lines:]
        return "\n".join([f"The end of {self.log}:"] + [f"    {line}" for line in end])


class Children:
    """A group of processes, ended in reverse order when the block ends."""

    def __init__(self):
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave the rest behind.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for child in reversed(self.started):
            child.stop()
        signal.signal(signal.SIGINT, handler)

    def start(self, *arguments, **options):
        """Starts a child that ends with the block."""
        child = Child(*arguments, **options)
        self.started.append(child)
        return child


def answers(url, timeout_s=2.0):
    """Whether a GET of the address answers with a 2xx status."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            return 200 <= response.status < 300
    except (urllib.error.URLError, OSError):
        return False


def run(step, command, advice, **options):
    """Runs a command to its end with its output shown; Failure with the advice when it fails."""
    try:
        code = subprocess.call([str(part) for part in command], stdin=subprocess.DEVNULL, **options)
    except OSError as error:
        raise Failure(f"{step}: {error}. {advice}") from error
    if code != 0:
        line = " ".join(str(part) for part in command)
        raise Failure(f"{step} failed (exit status {code}): {line}\n{advice}")


def clean_environment(home, **more):
    """An environment without anybody's keys and settings: what Gantry finds is what tests say."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    kept.update({"HOME": str(home), "NO_PROXY": "127.0.0.1,localhost"})
    kept.update({name: str(value) for name, value in more.items()})
    return kept
