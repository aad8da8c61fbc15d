"""Processes that run the stages of a retraining, as several machines would.

The processes are forked off a server that has already imported TensorFlow, MLflow and Optuna, so
each starts with fresh memory and without the seconds that importing takes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pkgutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_TIMEOUT_S = 240.0


@dataclass
class Job:
    """A running stage. ``fetched``: the artifacts that it downloaded, filled when it ends."""

    process: BaseProcess
    _answers: Connection
    fetched: list[str] = field(default_factory=list)

    def result(self) -> Any:
        """Wait for the stage and return its result.

        Raises:
            RuntimeError: The stage raised (the message holds its error), was killed, or timed out.
        """
        try:
            if not self._answers.poll(_TIMEOUT_S):
                raise RuntimeError(f"the stage did not end within {_TIMEOUT_S:.0f} s")
            value, error, self.fetched = self._answers.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"the stage was killed: {self.process.exitcode}") from None
        self.process.join()
        if error is not None:
            raise RuntimeError(error)
        return value

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        pid = self.process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.process.join()


class WorkerProcesses:
    """Starts stages, each in a process of its own."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.worker_processes_preload"])
        self._jobs: list[Job] = []

    def start(
        self,
        call: Callable[..., Any],
        *arguments: Any,
        changed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Job:
        """Run ``call(*arguments, **options)`` in a new process.

        ``changed`` replaces attributes of modules or classes in that process only, such as a
        period that is too long for a test.
        """
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_run, args=(theirs, call, arguments, options, dict(changed or {}))
        )
        process.start()
        theirs.close()
        job = Job(process, ours)
        self._jobs.append(job)
        return job

    def end(self) -> None:
        """Kill every process that is still running."""
        for job in self._jobs:
            job.kill()


@contextlib.contextmanager
def running_worker_processes() -> Iterator[WorkerProcesses]:
    """Yield a starter of processes; kill those that are left when the block ends."""
    processes = WorkerProcesses()
    try:
        yield processes
    finally:
        processes.end()


def _run(
    answers: Connection,
    call: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> None:
    from moovier.registry.rest_client import Rest

    fetched: list[str] = []
    download = Rest.download

    def counting(self: Rest, artifact_uri: str, file: str, to: Path) -> Path:
        fetched.append(file)
        return download(self, artifact_uri, file, to)

    Rest.download = counting  # type: ignore[method-assign]
    for name, value in changed.items():
        holder, _, attribute = name.rpartition(".")
        setattr(pkgutil.resolve_name(holder), attribute, value)
    try:
        answers.send((call(*arguments, **options), None, fetched))
    except Exception as error:
        answers.send((None, f"{type(error).__name__}: {error}", fetched))
