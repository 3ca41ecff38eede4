"""The picture: processor time of a request, a group of bars for each endpoint."""

from xml.sax.saxutils import escape

from bench.results import Results
from bench.stacks import OURS

WIDTH, LABELS, NUMBERS = 860, 290, 90  # pixels: of all, of the names at the left, of the numbers at the right
BAR, STEP, HEADING = 14, 19, 34

STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .heading { font-weight: 600; }
    .peer { fill: #8c959f; }
    .ours { fill: #1a7f37; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .peer { fill: #6e7681; }
      .ours { fill: #3fb950; }
    }"""


def draw(results: Results) -> str:
    """Return an SVG, in which the longest bar of each endpoint takes all the width there is."""
    clients = min(results.clients)
    shapes: list[str] = []
    y = 0
    for endpoint in results.endpoints:
        taken = {
            stack: median
            for stack in results.compared
            if (median := results.median(stack.name, endpoint, clients, lambda run: run.processor))
        }
        shapes.append(f'<text class="heading" x="0" y="{y + 22}">{endpoint}</text>')
        y += HEADING
        for stack, value in taken.items():
            width = (WIDTH - LABELS - NUMBERS) * value / max(taken.values())
            kind = "ours" if stack == OURS else "peer"
            shapes += [
                f'<text x="0" y="{y + BAR - 2}">{escape(stack.title)}</text>',
                f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
                f'<text x="{LABELS + width + 6:.1f}" y="{y + BAR - 2}">{value:,.0f} us</text>',
            ]
            y += STEP
    title = f"Microseconds of processor time per request, {clients} clients; shorter is better"
    return (
        "\n  ".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + HEADING}" role="img">',
                f"<title>{title}</title>",
                f"<style>{STYLE}\n  </style>",
                *shapes,
                f'<text x="0" y="{y + 22}">{title}</text>',
            ]
        )
        + "\n</svg>\n"
    )
