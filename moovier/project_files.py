"""The project's files that the wheel carries, for an installation without a checkout.

A checkout has the DAGs, the data pointers, DVC's configuration and the built web page in its own
folder. The wheel has copies in ``moovier/project`` (``setup.py`` makes them). They are written to a
folder of the user, because DVC needs to write beside the pointers.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from moovier import __version__
from moovier.errors import SettingsError

#: The copies in the wheel. A checkout and an editable install do not have this folder.
SHIPPED = Path(__file__).parent / "project"
#: File in the written folder that names the version of its files.
VERSION_FILE = ".version"


def is_project(folder: Path) -> bool:
    """Return whether ``folder`` is a checkout, or has the files of one."""
    return (folder / "dags").is_dir() and (folder / ".dvc").is_dir()


def default_project(home: Path, shipped: Path = SHIPPED) -> Path:
    """Return the project's folder if no setting names one.

    It is the current folder, or ``<home>/project`` if the current folder is no project and the
    installation has the files to fill it.
    """
    here = Path()
    return home / "project" if shipped.is_dir() and not is_project(here) else here


def write_project_files(
    project: Path, home: Path, shipped: Path = SHIPPED, version: str = __version__
) -> bool:
    """Fill ``<home>/project`` with the shipped files, unless it has those of this version.

    An upgrade replaces the DAGs, the page and the pointers, and keeps the data, DVC's cache and the
    user's ``.dvc/config``.

    Returns:
        False if nothing had to be written: the project is a checkout, or up to date.

    Raises:
        SettingsError: The folder cannot be written.
    """
    if project != home / "project" or not shipped.is_dir():
        return False
    marker = project / VERSION_FILE
    try:
        if marker.is_file() and marker.read_text(encoding="utf-8") == version:
            return False
        marker.unlink(missing_ok=True)
        # Files of an earlier version would stay otherwise: Airflow would run a DAG of the past.
        for folder in ("dags", "web"):
            shutil.rmtree(project / folder, ignore_errors=True)
        for file in sorted(shipped.rglob("*")):
            target = project / file.relative_to(shipped)
            if file.is_file() and not (target == project / ".dvc" / "config" and target.exists()):
                _copy(file, target)
        # Last, so that an interrupted copy is repeated.
        marker.write_text(version, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"cannot write the project's files to {project}: {error.strerror}; set MOOVIER_HOME to "
            "a folder that can be written"
        ) from error
    return True


def _copy(file: Path, target: Path) -> None:
    """Copy a file in one step, since another command may do the same at this moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent)
    os.close(handle)
    shutil.copyfile(file, name)
    Path(name).chmod(0o644)
    Path(name).replace(target)
