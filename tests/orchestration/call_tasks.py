"""Calls functions of the DAGs' folder in a process of its own, and prints how each call ended.

Importing Airflow replaces the handlers of all loggers, so that no test process may do so.

    python call_tasks.py <folder of the DAGs> '[{"task": ..., "arguments": [...]}, ...]'
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from moovier import errors
from moovier.feedback import errors as feedback_errors

#: Begins the line with the results.
MARK = "results: "


def main() -> None:
    """Print type and text of the exception of each call, or null, as one JSON list."""
    folder, calls = sys.argv[1], json.loads(sys.argv[2])
    sys.path.insert(0, folder)
    sys.stdout.write(f"{MARK}{json.dumps([_call(**call) for call in calls])}\n")


def _call(
    *,
    task: str | None = None,
    arguments: list[Any] | None = None,
    error: tuple[str, str] | None = None,
) -> list[str] | None:
    """Call a task's function, or raise an error inside ``failing_fast``."""
    try:
        if task is not None:
            getattr(importlib.import_module("moovier_retrain"), task).function(*arguments or ())
        elif error is not None:
            with importlib.import_module("moovier_tasks").failing_fast():
                raise _error(*error)
    except Exception as caught:
        return [type(caught).__name__, str(caught)]
    return None


def _error(name: str, text: str) -> Exception:
    kind = getattr(errors, name, None) or getattr(feedback_errors, name)
    error: Exception = kind(text, [text]) if name == "InvalidData" else kind(text)
    return error


if __name__ == "__main__":
    main()
