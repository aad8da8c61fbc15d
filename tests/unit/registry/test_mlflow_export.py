"""The code and the requirements that a registered model takes along.

tests/unit/jobs/test_pyfunc_model.py loads a whole model with MLflow's own functions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moovier.registry import mlflow_export

PACKAGE = Path(mlflow_export.__file__).parents[1]


def copied(folder: Path, code: str) -> set[str]:
    """Return the files of the package that are copied for ``code``."""
    file = folder / "model.py"
    file.write_text(code)
    target = mlflow_export._copy_code(file, folder / "code")
    assert target == folder / "code" / "moovier"
    return {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "code",
    [
        "from moovier.errors import BadRequest",
        "from moovier import errors",
        "import moovier.errors as wrong",
        "def load():\n    import moovier.errors",
        "import numpy\nfrom os import path\nfrom moovier.errors import BundleError, MoovierError",
    ],
)
def test_an_imported_module_and_its_package_are_copied(tmp_path: Path, code: str) -> None:
    assert copied(tmp_path, code) == {"__init__.py", "errors.py"}


def test_modules_that_copied_modules_import_are_copied(tmp_path: Path) -> None:
    files = copied(tmp_path, "from moovier.registry.reader import RegistryReader")
    assert {"registry/reader.py", "models/bundle.py", "data/ratings.py", "errors.py"} <= files
    assert {"registry/__init__.py", "models/__init__.py", "data/__init__.py"} <= files
    assert "jobs/retrain.py" not in files
    for name in files:
        assert (tmp_path / "code" / "moovier" / name).read_bytes() == (PACKAGE / name).read_bytes()


def test_a_file_without_imports_of_moovier_copies_nothing(tmp_path: Path) -> None:
    assert copied(tmp_path, "import os\nimport numpy as np\nfrom . import other") == set()


def test_copied_code_runs_without_the_installed_package(tmp_path: Path) -> None:
    copied(tmp_path, "from moovier.models.recency import Recency")
    script = "import moovier.models.recency as r; print(r.__file__)"
    # -S leaves out installed packages, except for the folder of the libraries.
    libraries = Path(pytest.__file__).parents[1]
    paths = [str(tmp_path / "code"), str(libraries)]
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {paths!r}; {script}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_requirements_are_pinned_to_installed_versions() -> None:
    import numpy as np

    lines = mlflow_export.requirements()
    assert f"numpy=={np.__version__}" in lines
    assert {line.partition("==")[0] for line in lines} >= {"mlflow", "pandas", "pydantic"}
    assert all(line.partition("==")[2] for line in lines)
