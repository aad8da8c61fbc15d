"""A command in a pseudo-terminal: tests read its output and press Ctrl-C."""

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
    """A terminal with a running command."""

    process: subprocess.Popen[bytes]
    _descriptor: int
    _output: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        """The output so far, without colours."""
        return _COLOURS.sub(b"", bytes(self._output)).decode(errors="replace").replace("\r", "")

    def wait_for(self, words: str, timeout_s: float) -> None:
        """Read until ``words`` appear in the output."""
        deadline = time.monotonic() + timeout_s
        while words not in self.text:
            assert time.monotonic() < deadline, f"no {words!r} within {timeout_s} s:\n{self.text}"
            # The last output may come between a read and the end of the command.
            ended = self.process.poll() is not None
            assert self._read() or not ended, f"ended early:\n{self.text}"

    def press_ctrl_c(self) -> None:
        """Send Ctrl-C to the command."""
        os.write(self._descriptor, b"\x03")

    def wait(self, timeout_s: float) -> int:
        """Read until the command ends and return its exit code."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running after {timeout_s} s:\n{self.text}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        """Read the output of the next 0.2 s; return whether anything came."""
        if not select.select([self._descriptor], [], [], 0.2)[0]:
            return False
        # Linux raises EIO once the other side is closed.
        with contextlib.suppress(OSError):
            chunk = os.read(self._descriptor, 65_536)
            self._output += chunk
            return bool(chunk)
        return False


@contextlib.contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run ``command`` in an 80-column terminal, which is its controlling terminal."""
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
