"""A standalone Spark cluster of processes on this machine: a master and workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

from tests.dvc_checkout import ROOT
from tests.servers import end_group, free_port

START_S = 600.0
#: In the environment of each worker and of its tasks: the worker's number.
WORKER = "TEST_SPARK_WORKER"


def spark_class() -> Path:
    """Return Spark's program that starts its daemons."""
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin" / "spark-class"


@dataclass
class Cluster:
    """A running cluster. ``folder``: its logs and the workers' files."""

    folder: Path
    port: int = field(default_factory=free_port)
    page_port: int = field(default_factory=free_port)
    master: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address of the master."""
        return f"spark://127.0.0.1:{self.port}"

    def start_master(self) -> None:
        """Start the master."""
        options = ["--host", "127.0.0.1", "--port", str(self.port)]
        options += ["--webui-port", str(self.page_port)]
        self.master = self._start("master", "org.apache.spark.deploy.master.Master", options)

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker of one core and 1 GB."""
        name = f"worker-{len(self.workers)}"
        options = ["--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--webui-port", "0"]
        options += ["--work-dir", str(self.folder / name), self.url]
        worker = self._start(name, "org.apache.spark.deploy.worker.Worker", options)
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, count: int) -> None:
        """Wait until the master knows ``count`` living workers."""
        deadline = time.monotonic() + START_S
        while self._living_workers() < count:
            for process in (self.master, *self.workers):
                if process is not None and process.poll() not in (None, -signal.SIGKILL):
                    raise RuntimeError(f"a Spark process ended:\n{self.logs()}")
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"fewer than {count} workers after {START_S:g} s:\n{self.logs()}"
                )
            time.sleep(0.1)

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill a worker with its executors, as when its machine is lost."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def stop(self) -> None:
        """Stop all processes."""
        for process in (*self.workers, self.master):
            if process is not None:
                end_group(process)

    def logs(self) -> str:
        """Return the end of each log."""
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-2000:]}"
            for log in self.folder.glob("*.log")
        )

    def _living_workers(self) -> int:
        """Return the number of workers; -1 if the master does not answer."""
        page = f"http://127.0.0.1:{self.page_port}/json/"
        with contextlib.suppress(OSError), urlopen(page, timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
        return -1

    def _start(self, name: str, java_class: str, options: list[str]) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "PYTHONPATH": str(ROOT),
            WORKER: name,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(spark_class()), java_class, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )


@contextlib.contextmanager
def standalone(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """Run a master and ``workers`` workers; stop them by their process groups."""
    cluster = Cluster(folder)
    try:
        cluster.start_master()
        cluster.wait_for_workers(0)
        for _ in range(workers):
            cluster.start_worker()
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()
