"""Starts a server in a process of its own, and runs a load against it."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

from bench.servers import target

SERVER_CPU, LOAD_CPU = "0", "1"

# The files that the largest part needs, on either side.
FILES = 20_000

# The time until a server listens; under callgrind it starts slowly.
TIMEOUT = 60.0


class Failed(Exception):
    """A server or its load failed; the tables show the reason."""


class Running:
    def __init__(self, server, *flags, wrapper=(), cpus=SERVER_CPU):
        self.server = server
        self.address = f"127.0.0.1:{free_port()}"
        command = ["taskset", "-c", cpus, *wrapper, *server.command]
        command += ["--listen", self.address, *flags]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # A server may complain about connections that are reset.
            stderr=subprocess.DEVNULL,
        )
        try:
            self.wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def wait_until_it_listens(self):
        host, port = self.address.split(":")
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"ended at once, with {self.process.returncode}")
            try:
                socket.create_connection((host, int(port)), timeout=5).close()
                return
            except OSError:
                time.sleep(0.01)
        raise Failed("does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def load(running, what, *flags, cpu=LOAD_CPU, timeout=300):
    """Runs the load generator; returns its result as a dictionary."""
    server = running.server
    command = ["taskset", "-c", cpu, target("load"), what]
    command += ["--server", running.address, "--pid", str(running.process.pid)]
    command += ["--raw"] if server.is_limit else []
    command += [str(flag) for flag in flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"was not done within {timeout} seconds") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        # The generator's main function prints an error by Debug.
        found = re.search(r'(?:error|message): "(.*?)"', lines[-1]) if lines else None
        raise Failed(found[1] if found else (lines[-1] if lines else "failed"))
    return json.loads(done.stdout)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def raise_file_limit():
    """Raises the limit of open files: thousands of connections are as many files, on
    both sides."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in [(FILES, max(FILES, hard)), (min(FILES, hard), hard)]:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return limits[0]
        except (ValueError, OSError):
            pass
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def cpus():
    return len(os.sched_getaffinity(0))


def end_on_signal():
    """Lets a signal to this program end its servers too."""
    def end(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, end)
