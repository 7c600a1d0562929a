#!/usr/bin/env python3
"""Runs the curl commands that Markdown files show and compares the answers.

    readme_curl.py FILE.md.. SERVER
    readme_curl.py --write FILE.md.. SERVER

The second form writes the real answers into the files, to be read before they
are committed.  The commands stand in blocks marked `console`: a line that begins with `$ ` is
a command (a backslash at its end continues it), what follows up to the next
command is what it must print, exactly; only the value of `date:` may differ.
After a 101 the connection is a WebSocket and not text: of such an answer the
head counts, and the command must end by its own `--max-time`.

SERVER is the built example that the files are about.  It listens on a port
that the system chooses; curl is told to go there (`--connect-to`) whenever the
page says 127.0.0.1:3000, so that every answer is the one that is shown.

Prints a line for each command and at the end `N passed, M failed`.
"""

import difflib
import pathlib
import re
import subprocess
import sys
import tempfile

SHOWN = "127.0.0.1:3000"
TIMED_OUT = 28  # curl's exit status for --max-time


def blocks(markdown):
    """The fenced blocks: (language, number of the first line within, lines)."""
    found, fence, indent = [], None, 0
    for number, line in enumerate(markdown.splitlines(), 1):
        opening = re.match(r"( *)(```+|~~~+)\s*(\S*)", line)
        if fence is None and opening:
            indent, fence = len(opening[1]), opening[2]
            found.append((opening[3], number + 1, []))
        elif fence is not None and line.strip() == fence:
            fence = None
        elif fence is not None:
            found[-1][2].append(line[indent:])
    return found


def commands(markdown):
    """The commands to run: (line, command, expected lines)."""
    found = []
    for language, number, lines in blocks(markdown):
        continued = False
        for line in lines:
            if language != "console":
                if re.match(r"\s*(\$ )?curl\b", line):
                    sys.exit(f"line {number}: a curl command must stand in a `console` block, "
                             "with its answer")
            elif continued:
                at, command, expected = found[-1]
                found[-1] = (at, command + "\n" + line, expected)
            elif line.startswith("$ "):
                found.append((number, line[2:], []))
            elif found:
                found[-1][2].append(line)
            else:
                sys.exit(f"line {number}: a `console` block begins with a command")
            continued = language == "console" and line.endswith("\\") and (
                continued or line.startswith("$ "))
            number += 1
    # Blank lines between an answer and the next command do not count.
    for _, _, expected in found:
        while expected and not expected[-1].strip():
            expected.pop()
    return [c for c in found if c[1].startswith("curl ")]


def head(lines):
    return lines[:lines.index("")] if "" in lines else lines


def comparable(text_lines):
    lines = [re.sub(r"(?i)^date: .*", "date: (any)", line.rstrip("\r")) for line in text_lines]
    if lines and re.match(r"HTTP/1\.1 101 ", lines[0]):
        lines = head(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def run(command, address):
    """Runs the command; returns its lines, its status, and its standard error."""
    there = f"curl --noproxy '*' --connect-to {SHOWN}:{address} "
    ended = subprocess.run(["bash", "-c", there + command.removeprefix("curl ")],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=30)
    lines = ended.stdout.decode("utf-8", "replace").splitlines()
    return lines, ended.returncode, ended.stderr.decode("utf-8", "replace").strip()


def check(command, expected, address):
    """The differences between the answer and the one that is shown."""
    if SHOWN not in command:
        return f"the command does not name {SHOWN}"
    lines, status, complaints = run(command, address)
    got = comparable(lines)
    want = comparable(expected)
    if not want:
        return "no answer is shown"
    switched = got[:1] and re.match(r"HTTP/1\.1 101 ", got[0])
    if got != want:
        return "\n".join(difflib.unified_diff(want, got, "shown", "received", lineterm=""))
    if status != (TIMED_OUT if switched else 0):
        return f"curl ended with status {status}: {complaints}"
    return None


def write(path, found, address):
    """Replaces the shown answers by the real ones."""
    text = path.read_text(encoding="utf-8").splitlines()
    for line, command, expected in reversed(found):
        lines = [answer.rstrip("\r") for answer in run(command, address)[0]]
        if lines and re.match(r"HTTP/1\.1 101 ", lines[0]):
            lines = head(lines)
        start = line + command.count("\n")
        text[start:start + len(expected)] = lines
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


def listening(server):
    for line in server.stdout:
        found = re.match(rb"listening on http://([^\s/]+)", line)
        if found:
            return found[1].decode()
    return None


def main():
    arguments = sys.argv[1:]
    writing = arguments[:1] == ["--write"]
    *paths, program = arguments[writing:] or [None]
    if not paths:
        sys.exit(__doc__)
    paths = [pathlib.Path(path) for path in paths]
    for path in paths:
        if not commands(path.read_text(encoding="utf-8")):
            sys.exit(f"no curl command in {path}")

    passed = failed = 0
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([program, "--listen", "127.0.0.1:0"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            address = listening(server)
            if address is None:
                log.seek(0)
                sys.exit(f"{program} does not say where it listens: {log.read().decode()}")
            for path in paths:
                if writing:
                    write(path, commands(path.read_text(encoding="utf-8")), address)
                for line, command, expected in commands(path.read_text(encoding="utf-8")):
                    wrong = check(command, expected, address)
                    passed += wrong is None
                    failed += wrong is not None
                    print(f"{'FAILED' if wrong else 'ok':<8}{path}:{line}: {expected[0] if expected else ''}")
                    if wrong:
                        print(f"  {command}\n{wrong}")
        finally:
            server.kill()
            server.wait()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
