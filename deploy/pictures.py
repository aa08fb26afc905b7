"""Draw what a terminal showed: `python -m deploy.pictures` writes docs/pictures/*.svg anew.

Each picture is drawn from the transcript of a real run beside it (NAME.txt: the command, then what
it printed).
"""

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

# As rich draws it, but with the reader's own monospaced font: a picture fetches nothing.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
<rect fill="#272822" x="0" y="0" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def draw(transcript: str, name: str) -> str:
    """Give the SVG of a terminal that shows a transcript; lines that begin with `$ ` are typed."""
    lines = transcript.rstrip().splitlines()
    width = max(len(line) for line in lines)
    console = Console(record=True, file=StringIO(), width=width, force_terminal=True)
    for line in lines:
        text = Text(line, style="bold" if line.startswith("$ ") else "")
        text.highlight_words(["Succeeded"], "bold green")
        text.highlight_words(["Running"], "cyan")
        text.highlight_words(["Pending"], "yellow")
        console.print(text, soft_wrap=True)
    return console.export_svg(theme=MONOKAI, code_format=_FORMAT, unique_id=name)


if __name__ == "__main__":
    for path in sorted(PICTURES.glob("*.txt")):
        picture = draw(path.read_text(encoding="utf-8"), path.stem)
        path.with_suffix(".svg").write_text(picture, encoding="utf-8")
