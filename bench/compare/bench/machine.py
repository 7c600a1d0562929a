"""The machine of the measurement, and the versions of all programs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.servers import HERE, NODE_PACKAGES

PEERS = [
    "hyper", "tokio", "fastwebsockets", "hyper-tungstenite", "tungstenite", "axum",
    "tokio-websockets", "yawc", "sockudo-ws",
]


def facts():
    kilobytes = r"MemTotal:\s+(\d+)"
    return {
        "processor": processor(),
        "CPUs": f"{os.cpu_count()}{', virtual' if 'hypervisor' in read('/proc/cpuinfo') else ''}",
        "memory": f"{int(found(kilobytes, read('/proc/meminfo'))) / 2**20:.0f} GiB",
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "system": found(r'PRETTY_NAME="(.*)"', read("/etc/os-release")),
        "Rust": first_line("rustc", "--version"),
        "Node": first_line("node", "--version") or "not installed",
        "valgrind": first_line("valgrind", "--version") or "not installed",
        "hyper-ws": commit(),
    }


def versions():
    """The versions of the peers, from the lock file."""
    lock = read(HERE / "Cargo.lock")
    pairs = re.findall(r'name = "(.*)"\nversion = "(.*)"', lock)
    result = {
        peer: ", ".join(version for name, version in pairs if name == peer) for peer in PEERS
    }
    for package in NODE_PACKAGES:
        name, _, version = package.partition("@")
        result[f"{name} (Node)"] = version
    return result


def processor():
    return found(r"model name\s*: (.*)", read("/proc/cpuinfo")) or os.uname().machine


def commit():
    version = found(r'(?m)^version = "(.*)"', read(HERE.parent.parent / "Cargo.toml"))
    head = first_line("git", "-C", str(HERE), "rev-parse", "--short=12", "HEAD")
    source = str(HERE.parent.parent / "src")
    changed = first_line("git", "-C", str(HERE), "status", "--porcelain", "--", source)
    return f"{version}, commit {head or 'unknown'}{' with changes' if changed else ''}"


def load_average():
    return f"{os.getloadavg()[0]:.2f}"


def read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def found(pattern, text):
    match = re.search(pattern, text)
    return match[1] if match else ""


def first_line(*command):
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout.strip().splitlines() or [""])[0] if done.returncode == 0 else ""
