"""Add the project's files to the wheel; pyproject.toml has everything else.

Without a checkout, `moovier up` needs the DAGs, the data pointers, DVC's configuration and the
built web page. ``moovier/project_files.py`` reads the copies that this file makes.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

#: Patterns of the files, relative to the project's folder. Files that do not exist are left out:
#: the images have them in a folder of their own.
PROJECT_FILES = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    "dags/.airflowignore",
    "dags/*.py",
    "data/*.dvc",
    "data/.gitignore",
    "dvc.yaml",
    "params.yaml",
    "pipeline/.gitignore",
    "web/dist/**/*",
)


class BuildWithProjectFiles(build_py):
    """Copy the Python packages, and the project's files beside them."""

    def run(self) -> None:
        """Copy everything into the build folder; an editable install uses the checkout itself."""
        super().run()
        if self.editable_mode:
            return
        here = Path(__file__).parent
        for pattern in PROJECT_FILES:
            for file in sorted(here.glob(pattern)):
                if file.is_file() and "__pycache__" not in file.parts:
                    target = Path(self.build_lib, "moovier", "project", file.relative_to(here))
                    self.mkpath(str(target.parent))
                    self.copy_file(str(file), str(target))


setup(
    cmdclass={"build_py": BuildWithProjectFiles},
    # The compiled scorers use the stable ABI (Py_LIMITED_API in pyproject.toml).
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
