"""Calls of glibc, in processes of their own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

RETURN = """
import numpy as np
import psutil
from moovier.serving.free_memory import return_free_memory

def mb():
    return psutil.Process().memory_info().rss / 2**20

arrays = [np.ones(4000, np.uint8) for _ in range(20_000)]
arrays = arrays[-1:]
before = mb()
return_free_memory()
print(before - mb())
"""
ARENAS = """
import ctypes
import threading
import numpy as np
from moovier.serving.free_memory import share_arena

if {shared}:
    share_arena()
threads = [threading.Thread(target=np.ones, args=(4000, np.uint8)) for _ in range(3)]
for thread in threads:
    thread.start()
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
output = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, output)
libc.fclose(output)
"""


def printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_freed_memory_below_other_memory_is_returned() -> None:
    assert float(printed(RETURN)) > 50


def test_threads_share_an_arena() -> None:
    assert printed(ARENAS.format(shared=False)).count("<heap nr=") > 1
    assert printed(ARENAS.format(shared=True)).count("<heap nr=") == 1
