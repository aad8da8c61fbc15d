"""Allocate memory in a container until the kernel kills another process of it. Runs inside.

python -c <this file> WORD   # the victim has WORD in its maps; without WORD it is the main program
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

BLOCK = 16 * 2**20
WAIT_S = 60.0


def victim(word: str) -> int | None:
    """Return the id of the process that the kernel shall kill."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            of_main = parent == "1" and not word
            if folder.name != str(os.getpid()) and (
                of_main or (word and word in (folder / "maps").read_text())
            ):
                return int(folder.name)
    return None


def is_alive(pid: int) -> bool:
    """Return whether a process runs: it neither has ended nor waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main() -> None:
    """Make the victim the kernel's first choice, whatever its size, then allocate."""
    deadline = time.monotonic() + WAIT_S
    while (pid := victim(sys.argv[1] if len(sys.argv) > 1 else "")) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"no process to kill within {WAIT_S:.0f} s")
        time.sleep(0.1)
    Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    held = []
    while is_alive(pid):
        held.append(b"\1" * BLOCK)


if __name__ == "__main__":
    main()
