#!/usr/bin/env python3
"""Runs the curl commands that a Markdown file shows and compares the answers.

    readme_curl.py README.md SERVER

The commands stand in blocks marked `console`: a line that begins with `$ ` is
a command (a backslash at its end continues it), what follows up to the next
command is what it must print, exactly; only the value of `date:` may differ.
After a 101 the connection is a WebSocket and not text: of such an answer the
head counts, and the command must end by its own `--max-time`.

SERVER is the built example that the file talks about.  It listens on a port
that the system chooses; curl is told to go there (`--connect-to`) whenever the
README says 127.0.0.1:3000, so that every answer is the one that is shown.

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
    """What is to be run: (line, command, expected lines)."""
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
    # Blank lines between an answer and the next command are there for the eye.
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


def check(command, expected, address):
    """What is wrong with the answer; nothing if it is as shown."""
    if SHOWN not in command:
        return f"the command does not name {SHOWN}"
    there = f"curl --noproxy '*' --connect-to {SHOWN}:{address} "
    run = subprocess.run(["bash", "-c", there + command.removeprefix("curl ")],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=30)
    got = comparable(run.stdout.decode("utf-8", "replace").splitlines())
    want = comparable(expected)
    if not want:
        return "no answer is shown"
    switched = got[:1] and re.match(r"HTTP/1\.1 101 ", got[0])
    if got != want:
        return "\n".join(difflib.unified_diff(want, got, "shown", "received", lineterm=""))
    if run.returncode != (TIMED_OUT if switched else 0):
        return f"curl ended with status {run.returncode}: {run.stderr.decode().strip()}"
    return None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    readme, program = sys.argv[1:]
    found = commands(pathlib.Path(readme).read_text(encoding="utf-8"))
    if not found:
        sys.exit(f"no curl command in {readme}")

    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([program, "--listen", "127.0.0.1:0"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            address = None
            for line in server.stdout:
                listening = re.match(rb"listening on http://([^\s/]+)", line)
                if listening:
                    address = listening[1].decode()
                    break
            if address is None:
                log.seek(0)
                sys.exit(f"{program} does not say where it listens: {log.read().decode()}")
            failed = 0
            for line, command, expected in found:
                wrong = check(command, expected, address)
                failed += wrong is not None
                print(f"{'FAILED' if wrong else 'ok':<8}line {line}: {expected[0] if expected else ''}")
                if wrong:
                    print(f"  {command}\n{wrong}")
        finally:
            server.kill()
            server.wait()
    print(f"{len(found) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
