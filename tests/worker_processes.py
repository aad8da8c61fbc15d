"""Stages of a retraining as several machines run them: a process and a home for each.

The processes are forked off a server that has imported what they need, and nothing else: a fresh
process without the seconds that importing takes.
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

_PATIENCE_S = 240.0


@dataclass
class Job:
    """One stage under way; ``fetched`` are the artefacts that it downloaded, once it ended."""

    process: BaseProcess
    _answers: Connection
    fetched: list[str] = field(default_factory=list)

    def result(self) -> Any:
        """What the stage returned.

        Raises:
            RuntimeError: it raised, with its error's text, or it was killed.
        """
        try:
            if not self._answers.poll(_PATIENCE_S):
                raise RuntimeError("the stage did not end")
            value, error, self.fetched = self._answers.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"the stage was killed: {self.process.exitcode}") from None
        self.process.join()
        if error is not None:
            raise RuntimeError(error)
        return value

    def kill(self) -> None:
        """``kill -9``."""
        pid = self.process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.process.join()


class Machines:
    """Starts stages, each in a process of its own."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.worker_processes_preload"])
        self._started: list[Job] = []

    def start(
        self,
        call: Callable[..., Any],
        *arguments: Any,
        changed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Job:
        """Run ``call(*arguments, **options)``; ``changed``: attributes of modules or
        classes that differ in that process, such as a period that no test can wait for."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_run, args=(theirs, call, arguments, options, dict(changed or {}))
        )
        process.start()
        theirs.close()
        job = Job(process, ours)
        self._started.append(job)
        return job

    def end(self) -> None:
        for job in self._started:
            job.kill()


@contextlib.contextmanager
def machines() -> Iterator[Machines]:
    started = Machines()
    try:
        yield started
    finally:
        started.end()


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
