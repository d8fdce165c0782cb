# SPDX-License-Identifier: GPL-2.0
"""Draws rows of a table, as SVG."""

WIDTH, ROW, LABELS, MARGIN = 900, 16, 200, 30
COLORS = {"ours": "#1b7837", "cpu.max": "#762a83"}


def errors(path, rows):
    """A line for each cell with a dot for ours and one for cpu.max, on a logarithmic axis."""
    cells = {}
    for row in rows:
        cells.setdefault(row.figure, {})["ours"] = row.ours.median
        if row.peer in COLORS:
            cells[row.figure][row.peer] = row.theirs.median
    decades = ["0.0001 %", "0.001 %", "0.01 %", "0.1 %", "1 %", "10 %", "100 %"]
    step = (WIDTH - LABELS - MARGIN) / (len(decades) - 1)
    height = ROW * (len(cells) + 3)

    def x(ppm):
        place = 0
        while ppm >= 10 and place < len(decades) - 1:
            ppm /= 10
            place += 1
        return LABELS + step * min(place + max(ppm - 1, 0) / 9, len(decades) - 1)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           'font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for i, text in enumerate(decades):
        at = LABELS + i * step
        out.append(f'<line x1="{at}" y1="{ROW}" x2="{at}" y2="{height - 2 * ROW}" stroke="#ddd"/>')
        out.append(f'<text x="{at}" y="{ROW - 4}" text-anchor="middle">{text}</text>')
    for i, (figure, values) in enumerate(cells.items()):
        y = ROW * (i + 1.5)
        out.append(f'<text x="{LABELS - 8}" y="{y + 4}" text-anchor="end">{figure}</text>')
        for who, ppm in values.items():
            out.append(f'<circle cx="{x(ppm):.1f}" cy="{y}" r="4" fill="{COLORS[who]}"/>')
    for i, (who, color) in enumerate(COLORS.items()):
        at, y = LABELS + 100 * i, height - ROW / 2
        out.append(f'<circle cx="{at}" cy="{y - 4}" r="4" fill="{color}"/>')
        out.append(f'<text x="{at + 8}" y="{y}">{who}</text>')
    out.append("</svg>")
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")
