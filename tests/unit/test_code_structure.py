"""Files and functions stay short, and no modules import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.dvc_checkout import ROOT

FOLDERS = ("moovier", "bentos", "dags", "deploy", "benchmarks", "tests")
#: Most lines of a file, of a module of the HTTP service, and of a function.
FILE_LINES, SERVICE_LINES, FUNCTION_LINES = 400, 200, 60


def sources() -> Iterator[tuple[str, str]]:
    """Yield path and text of each Python file."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), file.read_text()


def long_parts(path: str, text: str) -> Iterator[str]:
    """Yield what of a file is too long, with its number of lines."""
    lines = text.count("\n")
    if lines > (SERVICE_LINES if Path(path).parts[0] == "bentos" else FILE_LINES):
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name}: {lines} lines"


def test_files_and_functions_are_short() -> None:
    assert [part for path, text in sources() for part in long_parts(path, text)] == []


@pytest.mark.parametrize(
    ("path", "n_lines", "expected"),
    [
        ("moovier/x.py", 400, []),
        ("moovier/x.py", 401, ["moovier/x.py: 401 lines"]),
        ("bentos/x.py", 201, ["bentos/x.py: 201 lines"]),
    ],
)
def test_long_file_is_found(path: str, n_lines: int, expected: list[str]) -> None:
    assert list(long_parts(path, "x = 1\n" * n_lines)) == expected


def test_long_function_is_found() -> None:
    text = "class A:\n    async def run():\n" + "        x = 1\n" * FUNCTION_LINES
    assert list(long_parts("dags/x.py", text)) == ["dags/x.py:2 run: 61 lines"]


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, or an empty list."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other() -> None:
    graph = grimp.build_graph("moovier", "bentos", exclude_type_checking_imports=True)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imports) > 200
    assert circle(imports) == []


def test_import_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []
    assert circle({"a": {"b"}, "b": {"c"}, "d": {"a"}}) == []
