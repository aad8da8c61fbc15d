"""Write the results of a benchmark as JSON, with the machine and the versions.

``benchmarks/out/`` is not committed, because results depend on the machine.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

OUT = Path(__file__).parent / "out"

#: Packages whose version can change a result.
_PACKAGES = (
    "moovier",
    "numpy",
    "scipy",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "optuna",
    "mlflow",
    "bentoml",
    "fastapi",
    "uvicorn",
    "implicit",
    "scikit-surprise",
)


def write(name: str, result: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Path:
    """Write ``result`` to ``benchmarks/out/<name>.json`` atomically; return the file's path.

    A mapping gets the keys ``benchmark``, ``at`` (UTC), ``machine`` and ``versions`` unless it has
    them. A list of rows is written as it is. ``result`` may contain NumPy numbers and arrays; NaN
    becomes null.
    """
    if isinstance(result, Mapping):
        result = {
            "benchmark": name,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
            **result,
        }
    content = orjson.dumps(
        result,
        option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS,
    )
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / f"{name}.json"
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(content + b"\n")
    temporary.replace(file)
    return file


def data_setting(data: str | None) -> dict[str, str]:
    """Return the settings' override for the option ``--data``; empty without the option."""
    return {} if data is None else {"data": data}


def machine() -> dict[str, Any]:
    """Return the processor, usable cores, memory in GiB, load of the last minute and system."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that matter."""
    installed = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # Only Linux has this file.
    return platform.processor() or platform.machine()
