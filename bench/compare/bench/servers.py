"""The servers that are compared, and how each is started.

All take `--listen ADDR`; `--broadcast` sends every message to all clients, the
sender too, instead of back. A program of yours joins by the same contract, see
README.md.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
OURS = "hyper-ws"
RAW = "raw"

# Node's server, from npm. Its README recommends bufferutil for speed.
NODE_NAME = "Node ws"
NODE_PACKAGES = ["ws@8.23.0", "bufferutil@4.1.0"]


@dataclass
class Server:
    name: str
    command: list
    # The name of its feature and of its program for cargo.
    feature: str = None
    # A limit has no protocol: it sends the bytes that it reads back, or to all.
    is_limit: bool = False
    # Opt-in for its users: answers are gathered, and then written at once.
    is_batch: bool = False
    speaks: set = field(default_factory=lambda: {"echo", "broadcast"})
    has_workers: bool = False
    # Given on the command line.
    is_given: bool = False
    # Callgrind cannot tell a compiler's code from a program's.
    is_compiled: bool = True


def target(name):
    directory = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    return str(directory.resolve() / "release" / name)


def rust(name, program, *flags, **more):
    return Server(name, [target(program), *flags], feature=program, has_workers=True, **more)


def batch(name):
    return rust(f"{name} batch", name, "--batch", is_batch=True)


# Each as in its own documentation; `batch` where that shows how to send several
# messages in one write.
SERVERS = [
    rust(RAW, "raw", is_limit=True),
    rust("raw lent", "raw", "--lent", is_limit=True, speaks={"echo"}),
    rust(OURS, "hyper-ws"),
    rust("fastwebsockets", "fastwebsockets"),
    rust("hyper-tungstenite", "hyper-tungstenite"),
    batch("hyper-tungstenite"),
    rust("axum", "axum"),
    batch("axum"),
    rust("tokio-websockets", "tokio-websockets"),
    batch("tokio-websockets"),
    rust("yawc", "yawc"),
    batch("yawc"),
    rust("yawc, validating", "yawc", "--utf8", speaks={"text"}),
    rust("sockudo-ws", "sockudo-ws"),
    batch("sockudo-ws"),
]

# Servers that compress. Each tuning is a variant; the first one of each server is
# its default, or the one that its documentation recommends.
DEFLATE_SERVERS = [
    rust("hyper-ws shared", "hyper-ws-deflate"),
    rust("hyper-ws shared, level 1", "hyper-ws-deflate", "--level", "1"),
    rust("hyper-ws dedicated", "hyper-ws-deflate", "--dedicated"),
    rust("hyper-ws dedicated, level 1", "hyper-ws-deflate", "--dedicated", "--level", "1"),
    rust("hyper-ws dedicated, window 15", "hyper-ws-deflate", "--dedicated", "--window", "15"),
    rust(
        "hyper-ws dedicated, window 15, level 1",
        *("hyper-ws-deflate", "--dedicated", "--window", "15", "--level", "1"),
    ),
    rust("yawc low latency", "yawc-deflate"),
    rust("yawc low latency, pool", "yawc-deflate", "--pool"),
    rust("yawc balanced, pool", "yawc-deflate", "--balanced", "--pool"),
    rust("sockudo-ws shared", "sockudo-ws-deflate"),
    rust("sockudo-ws dedicated", "sockudo-ws-deflate", "--dedicated"),
    rust("axum, no compression", "axum"),
]


def node(*flags):
    """Node's ws, or the reason why it is missing."""
    for needed in ["node", "npm"]:
        if not shutil.which(needed):
            return None, f"{needed} is not installed"
    directory = Path(target("node-ws"))
    stamp = directory / "packages"
    packages = " ".join(NODE_PACKAGES)
    if not stamp.exists() or stamp.read_text() != packages:
        directory.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-save", "--no-package-lock"]
        command += ["--no-audit", "--no-fund", "--prefix", str(directory), *NODE_PACKAGES]
        print(f"fetching {packages}", file=sys.stderr)
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
            return None, "npm could not fetch it"
        stamp.write_text(packages)
    command = ["env", f"NODE_PATH={directory}/node_modules", "NODE_ENV=production"]
    command += ["node", str(HERE / "src" / "node_ws.js"), *flags]
    return Server(NODE_NAME, command, is_compiled=False), None


def given(text):
    """`NAME=COMMAND`, or `NAME=COMMAND:echo` (`:broadcast`, `:deflate`) if it
    speaks that alone."""
    name, separator, command = text.partition("=")
    speaks = {"echo", "broadcast"}
    for one in ["echo", "broadcast", "deflate"]:
        if command.endswith(f":{one}"):
            command, speaks = command.removesuffix(f":{one}"), {one}
    words = shlex.split(command)
    if not separator or not name or not words:
        sys.exit(f"--program takes NAME=COMMAND, not {text!r}")
    path = shutil.which(words[0])
    if not path:
        sys.exit(f"{name}: there is no program {words[0]}")
    return Server(name, [os.path.abspath(path), *words[1:]], speaks=speaks, is_given=True)


def build(servers):
    """Builds one server after the other: built together, one would change the features
    of another's dependencies."""
    for feature in dict.fromkeys(["load"] + [it.feature for it in servers if it.feature]):
        command = ["cargo", "build", "--quiet", "--release", "--locked", "--no-default-features"]
        command += ["--features", feature, "--bin", feature]
        print(f"building {feature}", file=sys.stderr)
        if subprocess.run(command, cwd=HERE).returncode != 0:
            sys.exit(f"{' '.join(command)} failed (in {HERE})")
