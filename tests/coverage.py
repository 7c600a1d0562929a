"""Reads a report of lines (lcov) for tests/coverage, and compares it with tests/coverage.md."""

import os
import re
import sys

LEAST = 97.0

# What is measured, in groups: paths below src/.
GROUPS = {
    "frame": ["frame/"],
    "protocol": ["protocol/"],
    "handshake": ["handshake/"],
    "extension": ["extension/"],
    "rooms": ["hub/envelope.rs", "hub/follow.rs", "hub/position.rs", "hub/ring.rs", "hub/seats.rs", "hub/log.rs"],
    "socket": [
        "close.rs",
        "config/",
        "message/",
        "socket/driver/buffers.rs",
        "socket/driver/deadlines.rs",
        "socket/driver/received.rs",
        "socket/shared/arrived.rs",
        "socket/shared/cork.rs",
        "socket/shared/driver_task.rs",
        "socket/shared/hints.rs",
        "socket/shared/inbox.rs",
        "socket/shared/life.rs",
        "socket/shared/queue.rs",
        "socket/shared/waiters.rs",
    ],
}


def lines_of(report):
    """Returns, for each file, how often each line was reached."""
    files, path = {}, ""
    for line in open(report, encoding="utf-8"):
        line = line.strip()
        if line.startswith("SF:"):
            path = os.path.relpath(line[3:])
        elif line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            counts = files.setdefault(path, {})
            number = int(number)
            # A generic function occurs once for each of its types.
            counts[number] = max(counts.get(number, 0), int(count))
    return files


def listed_in(page):
    """Returns the lines that the page lists, by file: under a heading, each in backticks."""
    listed, path = {}, ""
    for line in open(page, encoding="utf-8"):
        heading = re.match(r"#+ `(src/[^`]+)`", line)
        if heading:
            path = heading[1]
        item = re.match(r"- `(.+?)`(:| |$)", line)
        if item and path:
            listed.setdefault(path, set()).add(item[1])
    return listed


def before_tests(path):
    """Returns the lines of a file, up to its unit tests."""
    lines = open(path, encoding="utf-8").read().splitlines()
    for at, line in enumerate(lines):
        if line == "#[cfg(test)]" and lines[at + 1].startswith("mod ") and lines[at + 1].endswith("{"):
            return lines[:at]
    return lines


def main(report, page):
    files, listed = lines_of(report), listed_in(page)
    failed = False
    total_reached = total = 0
    for group, paths in GROUPS.items():
        group_reached = group_total = 0
        for path, counts in sorted(files.items()):
            if "/tests/" in path or path.endswith("/tests.rs"):
                continue
            if not any(path.startswith("src/" + part) for part in paths):
                continue
            source = before_tests(path)
            counts = {number: count for number, count in counts.items() if number <= len(source)}
            group_total += len(counts)
            group_reached += sum(count > 0 for count in counts.values())
            for number, count in sorted(counts.items()):
                text = source[number - 1].strip()
                if count == 0 and text.strip("{}();,") and text not in listed.get(path, ()):
                    print(f"not reached, and not listed: {path}:{number}: {text}")
                    failed = True
        share = 100 * group_reached / group_total
        print(f"{group}: {group_reached} of {group_total} lines, {share:.1f} %")
        if share < LEAST:
            print(f"{group}: fewer than {LEAST} %")
            failed = True
        total_reached += group_reached
        total += group_total
    print(f"{total_reached} of {total} lines, {100 * total_reached / total:.2f} %")
    sys.exit(failed)


main(*sys.argv[1:])
