"""Plots as SVG, by hand: bars with the range of their samples, and lines."""

import math
from html import escape

WIDTH = 760
INK, PALE, GRID = "#1f2328", "#656d76", "#d0d7de"
OURS, PEER, LIMIT = "#0969da", "#a3b1bf", "#e2c08d"
LINES = {"hyper-ws": "#0969da", "raw": "#9a6700", "raw lent": "#656d76"}
MORE_LINES = ["#1a7f37", "#8250df", "#bc4c00", "#cf222e"]


def bars(title, unit, rows):
    """`rows`: `(name, kind, middle, low, high)`, kind being ours, peer or limit.
    Shorter is better."""
    left, right, top, step = 190, 90, 64, 26
    height = top + step * len(rows) + 34
    most = max((row[4] for row in rows), default=1) or 1
    scale = (WIDTH - left - right) / most
    parts = [heading(title, f"{unit}; shorter is better; whiskers: smallest and largest sample")]
    for tick in ticks(most):
        x = left + tick * scale
        parts.append(line(x, top - 6, x, height - 28, GRID))
        parts.append(text(x, height - 12, short(tick), PALE, "middle"))
    for at, (name, kind, middle, low, high) in enumerate(rows):
        y = top + at * step
        color = {"ours": OURS, "limit": LIMIT}.get(kind, PEER)
        weight = "bold" if kind == "ours" else "normal"
        parts.append(text(left - 8, y + 14, name, INK, "end", weight))
        width = max(middle * scale, 1)
        parts.append(
            f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="{step - 8}" fill="{color}"/>'
        )
        if high > low:
            mid, a, b = y + step / 2 - 2, left + low * scale, left + high * scale
            parts += [line(a, mid, b, mid, INK), line(a, mid - 4, a, mid + 4, INK)]
            parts.append(line(b, mid - 4, b, mid + 4, INK))
        edge = left + max(middle, high) * scale
        parts.append(text(edge + 6, y + 14, short(middle), INK, "start", weight))
    return document(height, parts)


def lines(title, across, unit, series):
    """`series`: name to `[(x, middle, low, high)]`; x by its logarithm."""
    left, right, top, bottom, height = 80, 190, 64, 52, 380
    points = [point for row in series.values() for point in row]
    if not points:
        return document(height, [heading(title, "nothing measured")])
    first, last = min(p[0] for p in points), max(p[0] for p in points)
    most = max(p[3] for p in points) or 1
    span = math.log(last / first) or 1

    def x_of(x):
        return left + (WIDTH - left - right) * math.log(x / first) / span

    def y_of(y):
        return height - bottom - (height - top - bottom) * y / most

    parts = [heading(title, f"{unit}; lower is better; whiskers: smallest and largest sample")]
    for tick in ticks(most):
        parts.append(line(left, y_of(tick), WIDTH - right, y_of(tick), GRID))
        parts.append(text(left - 8, y_of(tick) + 4, short(tick), PALE, "end"))
    for x in sorted({p[0] for p in points}):
        parts.append(text(x_of(x), height - bottom + 20, f"{x:,}", PALE, "middle"))
    middle = left + (WIDTH - left - right) / 2
    parts.append(text(middle, height - 10, across, PALE, "middle"))
    ends = []
    for at, (name, row) in enumerate(series.items()):
        color = LINES.get(name, MORE_LINES[at % len(MORE_LINES)])
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y, _, _ in row)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
        )
        for x, y, low, high in row:
            parts.append(line(x_of(x), y_of(low), x_of(x), y_of(high), color))
            parts.append(f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{color}"/>')
        ends.append([y_of(row[-1][1]) + 4, name, color])
    # Names at the ends of their lines, pushed apart where those meet.
    below = top - 16
    for y, name, color in sorted(ends):
        below = max(y, below + 16)
        parts.append(text(WIDTH - right + 10, below, name, color, "start", "bold"))
    return document(height, parts)


def heading(title, note):
    return text(16, 24, title, INK, "start", "bold", 15) + text(16, 44, note, PALE, "start")


def text(x, y, words, color, anchor, weight="normal", size=12):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" '
        f'font-weight="{weight}" font-size="{size}">{escape(words)}</text>'
    )


def line(x1, y1, x2, y2, color):
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{color}"/>'


def ticks(most):
    """About four round numbers."""
    step = 10 ** math.floor(math.log10(most / 4))
    step *= next(it for it in [1, 2, 5, 10] if it * step >= most / 5)
    return [at * step for at in range(int(most / step) + 1)]


def short(value):
    for limit, suffix in [(1e9, "G"), (1e6, "M"), (1e3, "k")]:
        if value >= 10 * limit or (value >= limit and suffix != "k"):
            return f"{value / limit:.3g}{suffix}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def document(height, parts):
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
