"""A command in a terminal of its own, as a person runs it: to read along, and to press Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_COLOURS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """``text``: all that the command has shown so far, without colours."""

    process: subprocess.Popen[bytes]
    _side: int
    _shown: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        return _COLOURS.sub(b"", bytes(self._shown)).decode(errors="replace").replace("\r", "")

    def wait_for(self, words: str, timeout_s: float) -> None:
        """Read until ``words`` appear."""
        until = time.monotonic() + timeout_s
        while words not in self.text:
            assert time.monotonic() < until, f"no {words!r} within {timeout_s} s:\n{self.text}"
            assert self._read() or self.process.poll() is None, f"ended early:\n{self.text}"

    def press_ctrl_c(self) -> None:
        os.write(self._side, b"\x03")

    def wait(self, timeout_s: float) -> int:
        """Read on until the command ends; its exit code."""
        until = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < until, f"still there after {timeout_s} s:\n{self.text}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        """Take in what there is within a moment; False when there was nothing."""
        if not select.select([self._side], [], [], 0.2)[0]:
            return False
        # Linux answers EIO once the other side is closed.
        with contextlib.suppress(OSError):
            piece = os.read(self._side, 65_536)
            self._shown += piece
            return bool(piece)
        return False


@contextlib.contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run ``command`` with an 80-column terminal as its input, output and controlling terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "COLUMNS": "80", "TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
