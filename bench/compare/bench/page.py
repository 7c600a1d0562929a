"""Writes BENCHMARKS.md and its plots from the samples that were kept."""

import re
import statistics

from bench import markdown, plot
from bench.goals import Goals
from bench.markdown import number, table
from bench.parts import broadcast, deflate, echo, growth, handshake, idle, latency, workers
from bench.samples import cpu, extent, measured, middle, ratios, standing
from bench.servers import HERE, OURS, RAW

SECTIONS = [echo, broadcast, handshake, idle, latency, workers, growth, deflate]
MILLION = HERE.parent / "million" / "result.md"
ROOMS = HERE.parent / "rooms" / "result.md"

INTRODUCTION = """\
# What a WebSocket costs

hyper-ws beside other WebSocket servers and beside a bare TCP echo, as processes behind real
sockets. All of it, tables and plots, comes out of one command, which needs Linux, two CPUs,
Rust and Python 3, for Node's `ws` also `node` and `npm`, and for the column *instructions*
`valgrind`:

    python3 bench/compare/run.py            everything, {minutes}
    python3 bench/compare/run.py --short    the same at a glance, some five minutes once it is built

Figures move from machine to machine, so only those of one table count beside each other.
What was measured is kept in [`bench/compare/results/`](bench/compare/results/), sample by
sample; how it is measured stands in [`bench/compare/README.md`](bench/compare/README.md).

- **CPU ns** is what the scheduler counted for the server, the kernel's work for it included, over
  the number of messages: it does not depend on the load being the bottleneck. *user* and *system*
  divide it (by ticks of a clock, so roughly); *instructions* are counted in user space by callgrind,
  and do not depend on what else the machine does. (tungstenite, and axum with it, clears its read
  buffer before every read by an instruction that callgrind counts once for each byte.)
- `raw` is the limit: Tokio, the same bytes back, no protocol. `raw lent` is the same with one buffer
  for all connections.
- `batch` is a peer's way to answer several messages in one write, where it has one that its users
  must ask for. hyper-ws has no such form: it is always the loop of its README, with its shipped
  defaults (timers, limits, UTF-8 and masking checks, tracing compiled in).
- Figures are medians over rounds, each a fresh process, the servers taking turns; in brackets the
  smallest and the largest sample. Ratios are taken within a round. **Where brackets overlap, which of
  two servers is better has not been shown.** Peers with less than hyper-ws stand in bold.
- *others* is how much of a CPU other programs took meanwhile, usually (and at most): above some 10 %
  believe no rate and no latency.
"""


class Page:
    def __init__(self, kept, plots):
        self.kept = kept
        self.plots = plots
        self.body = []
        self.pictures = {}
        self.glance = []
        self.behind = []

    # Helpers for the parts.

    def heading(self, words):
        self.body.append(f"### {words}\n")

    def text(self, words):
        if words:
            self.body.append(f"{words}\n")

    def add(self, markdown_):
        self.body.append(markdown_)

    def command(self, part, load=None):
        only = f' --load "{load}"' if load else ""
        self.body.append(f"`{command(part)}{only}`\n")

    def picture(self, name, svg):
        file = f"{slug(name)}.svg"
        self.pictures[file] = svg
        self.body.append(f"![{name}]({self.plots}/{file})\n")

    def plot_cpu(self, name, title, comparison, unit):
        self.plot(name, title, f"CPU ns a {unit}", comparison, cpu)

    def plot(self, name, title, unit, comparison, figure):
        rows = []
        for server, found in markdown.ranked(comparison, figure):
            kind = "peer"
            if server.startswith(OURS):
                kind = "ours"
            elif server == RAW or server.startswith(f"{RAW} "):
                kind = "limit"
            rows.append((server, kind, middle(found, figure), *extent(found, figure)))
        if rows:
            self.picture(name, plot.bars(title, unit, rows))

    def instructions(self, title):
        part = self.kept["parts"].get("instructions")
        return part["data"].get(title) if part else None

    def stands(self, part, comparison, figure=cpu, what="CPU ns"):
        """Records how this crate compares, for the tables at the top."""
        rows = measured(comparison)
        peers = standing(comparison, figure)
        if not peers or OURS not in rows:
            return
        ours = rows[OURS]
        limit = rows.get("raw lent") if part == "idle" else rows.get(RAW)
        to_limit = "-"
        if limit:
            to_limit = f"{statistics.median(ratios(ours, limit, figure) or [0]):.2f}"
        best, ratio, doubt = peers[0]
        title = comparison["load"]
        self.glance.append([
            title if title != "idle" else "idle socket after an echo",
            what,
            number(middle(ours, figure)),
            number(middle(limit, figure)) if limit else "-",
            to_limit,
            best,
            number(middle(rows[best], figure)),
            f"{1 / ratio:.2f}" if ratio else "-",
            doubt or ("yes" if ratio > 1 else "**no**"),
        ])
        for name, ratio, doubt in peers:
            if middle(rows[name], figure) < middle(ours, figure):
                load = f' --load "{title}"' if part in ("echo", "broadcast") else ""
                names = f"{RAW},{OURS},{name}"
                if name in self.kept["programs"]:
                    names += f'" --program "{name}=PATH'
                self.behind.append([
                    title, what, name, number(middle(rows[name], figure)),
                    number(middle(ours, figure)),
                    f"{1 / ratio:.2f}" if ratio else "-",
                    doubt or "apart",
                    f'`{command(part)}{load} --only "{names}"`',
                ])


def command(part):
    return f"python3 bench/compare/run.py --part {part}"


def write(kept, directory, plots):
    """The document's text; its pictures go below `directory`."""
    page = Page(kept, plots)
    for section in SECTIONS:
        part = kept["parts"].get(section.NAME)
        if not part:
            continue
        page.body.append(f"## {section.TITLE}\n")
        section.section(page, part["data"])
        page.body.append(f"*{when(part)}*\n")
    folder = directory / plots
    folder.mkdir(parents=True, exist_ok=True)
    if len(kept["parts"]) > 1:
        for old in folder.glob("*.svg"):
            old.unlink()
    for name, svg in page.pictures.items():
        (folder / name).write_text(svg)
    head = [introduction(kept), at_a_glance(page), not_ahead(page)]
    head += [Goals(kept["parts"]).section(), circumstances(kept)]
    return "\n".join([*head, *page.body, million(), rooms()]).rstrip() + "\n"


def when(part):
    return (
        f"Measured {part['began']} on hyper-ws {part['commit']}; {part['seconds'] / 60:.1f} minutes; "
        f"load average {part['load_average'][0]} before, {part['load_average'][1]} after."
        + (" A short run." if part["short"] else "")
    )


def introduction(kept):
    total = sum(part["seconds"] for part in kept["parts"].values()) / 60
    return INTRODUCTION.format(minutes=f"some {total:.0f} minutes here, once it is built")


def at_a_glance(page):
    if not page.glance:
        return ""
    head = ["load", "figure", OURS, "raw", "ours ÷ raw", "best peer", "its", "ours ÷ its", "hyper-ws ahead"]
    return (
        "## At a glance\n\nThe limit for idle sockets is `raw lent`. Where samples "
        "overlap, who is ahead has not been shown.\n\n" + table(head, page.glance)
    )


def not_ahead(page):
    words = "## Where hyper-ws is behind\n\n"
    if not page.behind:
        return words + "Nowhere in these tables.\n"
    head = ["load", "figure", "server", "its", OURS, "ours ÷ its", "samples", "command"]
    return words + (
        "Every row below in which a peer's median is less than hyper-ws's, by whatever; where "
        "the samples overlap it may be chance.\n\n" + table(head, page.behind)
    )


def circumstances(kept):
    facts = [[name, value] for name, value in kept["machine"].items()]
    versions = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    return (
        "## The machine, and the versions\n\n" + table(["", ""], facts).replace("---:", "---")
        + f"\n{versions}. Rust programs: `lto = \"fat\"`, one codegen unit, `panic = \"abort\"`, "
        "baseline target, the system's allocator. "
        + (f"Given by `--program`: {', '.join(kept['programs'])}. " if kept["programs"] else
           "uWebSockets or any other server joins these tables by `--program NAME=PATH`. ")
        + "".join(f"Not measured: {name}, {reason}. " for name, reason in kept["absent"].items())
        + "\n"
    )


def million():
    """The result of `bench/million`, if it has been run."""
    return included("A million sockets", MILLION)


def rooms():
    """The result of `bench/rooms`, if it has been run."""
    return included("Rooms over several servers", ROOMS)


def included(title, path):
    words = f"## {title}\n\n"
    if not path.exists():
        return words + f"Not measured yet: `python3 bench/{path.parent.name}/run.py`, then this again.\n"
    text = path.read_text().strip()
    text = re.sub(r"\A#+ .*\n+", "", text)
    # Its headings are below this one.
    text = re.sub(r"(?m)^#{1,3} ", "### ", text)
    return words + text + "\n"


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
