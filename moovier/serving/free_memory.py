"""Memory that was freed but that the C library keeps: calls of glibc, without effect elsewhere."""

from __future__ import annotations

import contextlib
import ctypes

#: Number of the parameter of mallopt(3) for the most arenas.
_M_ARENA_MAX = -8


def share_arena() -> None:
    """Let all threads take memory from one arena.

    What the thread that loads a model frees in an arena of its own would be of use to no other
    thread. Threads seldom wait for the arena, since most wait for Python's interpreter anyway.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def return_free_memory() -> None:
    """Return freed memory to the system.

    Loading a model frees large arrays below small objects that stay. glibc returns such memory only
    when it is asked; that takes some milliseconds and may run beside other threads.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
