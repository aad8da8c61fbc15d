"""Return freed memory to the system, by functions of glibc; other C libraries lack them."""

from __future__ import annotations

import contextlib
import ctypes

#: Number of the parameter of mallopt(3) for the most arenas.
_M_ARENA_MAX = -8


def share_arena() -> None:
    """Let all threads take memory from one arena.

    By default each thread has its own arena. After loading a model, only the loading thread could
    use the memory that it has freed. Threads rarely wait for the shared arena, because they wait
    for Python's interpreter lock anyway.
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
