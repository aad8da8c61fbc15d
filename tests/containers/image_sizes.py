"""Print the sizes of our images and of their layers above the base image, as Markdown tables.

python -m tests.containers.image_sizes [TAG ...]     # without tags: latest
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Sequence

from tests.containers.project import docker

IMAGES = ("moovier-serving", "moovier-mlflow", "moovier-training")
#: Smaller layers are summed up.
SHOWN_MB = 5.0


def layers(image: str) -> list[tuple[str, float]]:
    """Return the instruction and the size in MB of each layer above the base image, oldest first.

    The base image ends at its CMD; an imported one has a single layer without an instruction.
    """
    form = "--format={{.Size}}\t{{.CreatedBy}}"
    lines = docker("history", "--no-trunc", "--human=false", form, image).splitlines()
    found = [(text, int(size) / 1e6) for size, text in (line.split("\t", 1) for line in lines)]
    ours = itertools.takewhile(lambda layer: layer[0] and "CMD [" not in layer[0], found)
    return [(_short(text), size) for text, size in ours][::-1]


def table(image: str, tags: Sequence[str]) -> str:
    """Return a table with a column for each tag; layers are matched by their instruction."""
    columns = [dict(layers(f"{image}:{tag}")) for tag in tags]
    names = dict.fromkeys(name for column in columns for name in column)
    shown = [name for name in names if any(column.get(name, 0) >= SHOWN_MB for column in columns)]
    rows = [(name, [column.get(name, 0.0) for column in columns]) for name in shown]
    totals = [sum(column.values()) for column in columns]
    rest = [sum(size for name, size in column.items() if name not in shown) for column in columns]
    head = [
        f"| `{image}`, MB above the base | " + " | ".join(tags) + " |",
        "|---|" + "--:|" * len(tags),
    ]
    body = [
        f"| {name} | " + " | ".join(f"{size:.0f}" for size in sizes) + " |"
        for name, sizes in [*rows, ("other layers", rest), ("**all**", totals)]
    ]
    return "\n".join([*head, *body])


def _short(text: str) -> str:
    """Return what an instruction installs or copies."""
    text = re.sub(r"\s+", " ", text.replace("# buildkit", "")).strip()
    if "uv pip install --no-deps" in text:
        return "our package"
    if "uv pip install" in text:
        return "installed packages"
    if "pip install" in text and "uv==" in text:
        return "uv, the installer"
    return f"`{text.removeprefix('RUN /bin/sh -c ')[:40]}`"


def main() -> None:
    """Print a table for each image."""
    tags = sys.argv[1:] or ["latest"]
    sys.stdout.write("\n\n".join(table(image, tags) for image in IMAGES) + "\n")


if __name__ == "__main__":
    main()
