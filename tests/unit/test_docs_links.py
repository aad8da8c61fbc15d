"""The documentation names only files, headings, make targets, commands and settings that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from moovier.cli import app
from moovier.settings import PREFIX, Settings
from moovier.settings_page import variable

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "data" / "README.md",
        ROOT / "mlflow" / "README.md",
    ]
)
#: First folders of the repository paths that pages name in code spans.
FOLDERS = ("bentos", "benchmarks", "dags", "deploy", "docs", "moovier", "mlflow", "tests", "web")

_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
_MAKE = re.compile(r"(?:^|[\s;&])make ([a-z][a-z-]*)")
_MOOVIER = re.compile(r"(?:^|[\s/])moovier ([a-z]+)(?: +([a-z-]+))?", re.MULTILINE)
_FILE = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:py|md|yaml|json|dvc)")


def prose(text: str) -> str:
    """Return the page without its code blocks."""
    return _BLOCK.sub("", text)


def code(text: str) -> str:
    """Return the code blocks without comments, and each code span on a line of its own."""
    blocks = [_COMMENT.sub("", block) for block in _BLOCK.findall(text)]
    spans = [" ".join(span.split()) for span in _SPAN.findall(prose(text))]
    return "\n".join([*blocks, *spans])


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of the page's headings."""
    headings = _HEADING.findall(prose(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """Return the relative links whose file or heading does not exist."""
    return [link for link in _LINK.findall(prose(text)) if not _leads_somewhere(page, text, link)]


def _leads_somewhere(page: Path, text: str, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if target != page and not target.exists():
        return False
    if not anchor:
        return True
    return anchor in anchors(text if target == page else target.read_text(encoding="utf-8"))


def missing_files(text: str) -> list[str]:
    """Return the repository files in code spans and blocks that do not exist."""
    return [name for name in _FILE.findall(code(text)) if not (ROOT / name).is_file()]


def unknown_targets(text: str) -> list[str]:
    """Return the make targets that the Makefile lacks."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [target for target in _MAKE.findall(code(text)) if target not in targets]


def unknown_commands(text: str) -> list[str]:
    """Return the commands that `moovier` lacks."""
    return list(_unknown_commands(text))


def _unknown_commands(text: str) -> Iterator[str]:
    commands = _subcommands(typer.main.get_command(app))
    for name, following in _MOOVIER.findall(code(text)):
        if name not in commands:
            yield name
        elif (group := _subcommands(commands[name])) and following and following not in group:
            yield f"{name} {following}"


def _subcommands(command: object) -> dict[str, object]:
    """Return a group's commands by name; empty for a command that is not a group."""
    return dict(getattr(command, "commands", {}))


def unknown_settings(text: str) -> list[str]:
    """Return the variables with Moovier's prefix that no setting reads."""
    variables = {variable(name, field) for name, field in Settings.model_fields.items()}
    named = re.findall(rf"(?<![\w_]){PREFIX}[A-Z_]*[A-Z]", text)
    return [name for name in named if name not in variables]


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_named_files_exist(page: Path) -> None:
    assert missing_files(page.read_text(encoding="utf-8")) == []


def test_named_make_targets_exist(page: Path) -> None:
    assert unknown_targets(page.read_text(encoding="utf-8")) == []


def test_named_moovier_commands_exist(page: Path) -> None:
    assert unknown_commands(page.read_text(encoding="utf-8")) == []


def test_named_settings_exist(page: Path) -> None:
    assert unknown_settings(page.read_text(encoding="utf-8")) == []


def test_missing_file_and_heading_are_reported() -> None:
    text = (
        "# One heading\n[a](README.md) [b](gone.md) [c](#one-heading) [d](#gone)\n"
        "[e](docs/metrics.md#the-gate) [f](docs/metrics.md#gone) [g](https://example.com/gone)\n"
        "```\n[h](in-a-block.md)\n```\n"
    )
    assert broken_links(ROOT / "page.md", text) == ["gone.md", "#gone", "docs/metrics.md#gone"]
    assert missing_files("`docs/metrics.md` `tests/gone.py`") == ["tests/gone.py"]


def test_unknown_target_command_and_setting_are_reported() -> None:
    text = (
        "Run `make lint`, `make coffee` or `moovier dance`; make tea yourself.\n\n"
        "```\nmake up      # to make dinner\n.venv/bin/moovier data use DIR\n"
        "docker compose exec service moovier data lose DIR\n```\n"
    )
    assert unknown_targets(text) == ["coffee"]
    assert sorted(unknown_commands(text)) == ["dance", "data lose"]
    assert unknown_settings("`MOOVIER_PORT` `MOOVIER_PROT`") == ["MOOVIER_PROT"]
