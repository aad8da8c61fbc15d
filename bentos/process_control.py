"""Controls the service's own processes: their priority, and their end with their parent."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

logger = logging.getLogger(__name__)

#: Seconds between two checks of the parent.
CHECK_S = 1.0
#: Gives a process a third of the processor time of others. A lower priority would not speed up
#: answers and would starve a training: docs/decisions/fine-tuning-beside-answers.md.
_NICENESS = 5
#: The variable with the process id of BentoML's master, which imports this module before it starts
#: its workers.
_MASTER = "SERVICE_MASTER_PID"
if "--worker-id" not in sys.argv:
    os.environ[_MASTER] = str(os.getpid())


def lower_priority() -> None:
    """Lower the priority of this process."""
    os.nice(_NICENESS)
    # If Linux groups processes by session, as on desktops, niceness only counts within a session,
    # and each of BentoML's processes has its own. The group has a niceness as well.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


def exit_with_parent() -> None:
    """End this process when its parent ends.

    After ``kill -9`` of BentoML's master its workers would keep the port.
    """
    # If the master ended before this call, the parent is another process, and this one ends too.
    parent = int(os.environ[_MASTER])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK_S)
        logger.error("the parent process ended; ending this process")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
