"""Find what started a run: the command or the Airflow task, the user and the git commit."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import sys
from pathlib import Path

#: MLflow's own tags, which its run list shows as the columns Source, User and Version.
_USER = "mlflow.user"
_SOURCE_NAME, _SOURCE_TYPE = "mlflow.source.name", "mlflow.source.type"
_GIT_COMMIT = "mlflow.source.git.commit"
#: Variables that Airflow sets in the process of a task.
_DAG, _TASK = "AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_TASK_ID"
_GIT_TIMEOUT_S = 5.0


def source_tags() -> dict[str, str]:
    """Return MLflow's tags of the source of a run that this process starts.

    The git commit is left out if Moovier does not run from a git checkout.
    """
    dag = os.environ.get(_DAG)
    if dag:
        name, kind = f"{dag}.{os.environ.get(_TASK, '')}".rstrip("."), "JOB"
    else:
        program = Path(sys.argv[0] or "python")
        is_module = program.name == "__main__.py"
        command = program.parent.name if is_module else program.name
        # Only the subcommand: options may hold paths of this machine.
        words = [word for word in sys.argv[1:2] if not word.startswith("-")]
        name, kind = " ".join([command, *words]), "LOCAL"
    tags = {_SOURCE_NAME: name, _SOURCE_TYPE: kind}
    # A container's user may have no name.
    with contextlib.suppress(KeyError, OSError):
        tags[_USER] = getpass.getuser()
    commit = _commit(Path(__file__).resolve())
    if commit is not None:
        tags[_GIT_COMMIT] = commit
    return tags


def _commit(file: Path) -> str | None:
    """Return the commit that is checked out if git tracks ``file``, else None."""

    def git(*words: str) -> str:
        # An installed package may lie in the folder of another project's checkout.
        return subprocess.run(
            ["git", "-C", str(file.parent), *words],
            check=True,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("rev-parse", "HEAD") or None
    except (OSError, subprocess.SubprocessError):
        return None
