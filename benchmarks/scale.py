"""``make bench-scale``: time and memory of ingest and retraining by the number of ratings.

The ratings are generated (:mod:`benchmarks.scale_data`). ``ingest`` is ``moovier data use`` plus
fetching, validating and storing the columns. ``retrain`` is a whole retraining with the default
budget of trials. Each is measured from its start to its end, with all starts of processes.

Without ``--airflow`` the retraining is ``moovier train`` beside an MLflow of its own, in one
process. With ``--airflow`` both stages run in the stack of ``moovier up``, two tasks at a time.
``peak_gb`` is the greatest PSS of all processes of a stage together, without the servers.
``processor_s`` is the processor time of these processes, which depends less on other work on the
machine; it is measured without Airflow only. ``load`` tells how much other work there was.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
from rich.table import Table

from benchmarks import report
from benchmarks.memory import peak_memory, processor_s
from benchmarks.scale_data import write_ratings
from benchmarks.servers import ROOT, free_port, mlflow_server
from moovier.cli.console import plain_console
from moovier.json_files import read_json
from moovier.settings import Settings
from moovier.stack.services import console_script

SIZES = (100_000, 1_000_000, 5_000_000, 25_000_000)
#: Bars of the stages in seconds, by the number of ratings; and of memory in GB.
BARS_S = {(25_000_000, "ingest"): 60.0, (25_000_000, "retrain"): 600.0, (1_000_000, "retrain"): 240}
BAR_GB = 8.0
#: Largest growth exponent from 1M to 25M ratings.
BAR_EXPONENT = 1.1


@dataclass(frozen=True)
class Row:
    """The time (seconds) and peak memory (GB) of one stage on one data set.

    ``load``: mean load average of the machine meanwhile; above its cores the machine had other work
    and ``seconds`` says little.
    """

    ratings: int
    stage: str
    seconds: float
    peak_gb: float
    processor_s: float | None = None
    load: float | None = None


def main() -> None:
    """Print the table, write ``benchmarks/out/scale.json``; exit 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Growth of ingest and retraining with the data.")
    parser.add_argument("--size", type=int, action="append", help="number of ratings; repeatable")
    parser.add_argument("--data", type=Path, help="folder to keep the generated data in")
    parser.add_argument("--add", action="store_true", help="keep the file's rows of other sizes")
    parser.add_argument("--keep", action="store_true", help="keep MOOVIER_HOME beside the data")
    parser.add_argument("--trials", type=int, help="trials per family; default: the setting")
    parser.add_argument("--airflow", action="store_true", help="run the stages in Airflow")
    parser.add_argument("--ingest-only", action="store_true", help="measure no retraining")
    options = parser.parse_args()
    console = plain_console(soft_wrap=False)
    through = "airflow" if options.airflow else "processes"
    sizes = options.size or SIZES
    rows = _earlier_rows(through, sizes) if options.add else []
    measure = in_airflow if options.airflow else in_processes
    with _folder(options.data) as folder:
        for size in sizes:
            data = write_ratings(folder / f"scale-{size}", size)
            with _home(folder, size, options.keep) as home:
                found = measure(data, size, home, options.trials, options.ingest_only)
                for row in found:
                    rows = sorted([*rows, row], key=lambda row: row.ratings)
                    console.print(
                        f"{size:,} {row.stage}: {row.seconds:.0f} s, {row.peak_gb:.2f} GB"
                    )
                    # Each row, because the next one may take long, or fail.
                    file = _write(through, options.trials, rows)
    console.print(table(rows))
    console.print(f"written to {file.relative_to(ROOT)}")
    if problems := missed(rows):
        console.print("missed bars: " + "; ".join(problems))
        sys.exit(1)


def _write(through: str, trials: int | None, rows: Sequence[Row]) -> Path:
    return report.write(
        "scale",
        {
            "through": through,
            "trials": trials or "default",
            "rows": [asdict(row) for row in rows],
            "exponents": exponents(rows),
        },
    )


def _earlier_rows(through: str, sizes: Sequence[int]) -> list[Row]:
    """Return the rows in the file that were measured the same way, of other sizes."""
    found = read_json(report.OUT / "scale.json")
    if found is None or found["through"] != through:
        return []
    return [row for row in (Row(**row) for row in found["rows"]) if row.ratings not in sizes]


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as scratch:
        yield Path(scratch)


@contextmanager
def _home(folder: Path, size: int, is_kept: bool) -> Iterator[Path]:
    if is_kept:
        home = folder / f"home-{size}"
        home.mkdir()
        yield home
        return
    with tempfile.TemporaryDirectory(prefix=f"home-{size}-", dir=folder) as home_name:
        yield Path(home_name)


def in_processes(
    data: Path, size: int, home: Path, trials: int | None, ingest_only: bool
) -> Iterator[Row]:
    """Measure both stages as commands, without Airflow."""
    environment = _environment(home, trials)
    ingest = "from moovier.jobs import ingest; ingest.validate(ingest.pull())"
    commands = [
        [console_script("moovier"), "data", "use", str(data)],
        [sys.executable, "-c", ingest],
    ]
    yield _run(commands, environment, size, "ingest", home / "ingest.log")
    if ingest_only:
        return
    with mlflow_server(home) as address:
        environment = {**environment, "MLFLOW_TRACKING_URI": address}
        train = [[console_script("moovier"), "train"]]
        yield _run(train, environment, size, "retrain", home.parent / f"retrain-{size}.log")


def _environment(home: Path, trials: int | None) -> dict[str, str]:
    budget = str(trials or Settings.model_fields["trials"].default)
    return {
        **os.environ,
        "MOOVIER_HOME": str(home),
        "MOOVIER_TRIALS": budget,
        # The first retraining of a home would be a short one.
        "MOOVIER_FIRST_RUN_TRIALS": budget,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONUNBUFFERED": "1",
    }


def _run(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    size: int,
    stage: str,
    log: Path,
) -> Row:
    """Run commands one after the other and measure them together.

    In the log, each line starts with the wall and the processor seconds of its process so far.
    """
    started, used, peak_gb = time.perf_counter(), processor_s(), 0.0
    loads = []
    with log.open("a", encoding="utf-8") as output:
        for command in commands:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=ROOT,
            )
            assert process.stdout is not None
            begun = time.perf_counter()
            with peak_memory(process.pid) as peak:
                for line in process.stdout:
                    elapsed, busy = time.perf_counter() - begun, _processor_s_of(process.pid)
                    output.write(f"{elapsed:7.1f} {busy:7.1f} {peak.gb:5.2f}  {line}")
                    output.flush()
                if code := process.wait():
                    raise SystemExit(f"{command} failed ({code}):\n{log.read_text()[-3000:]}")
            peak_gb = max(peak_gb, peak.gb)
            loads += peak.loads
    seconds, spent = time.perf_counter() - started, processor_s() - used
    return Row(size, stage, seconds, peak_gb, spent, float(np.mean(loads)) if loads else None)


def _processor_s_of(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        return float(sum(psutil.Process(pid).cpu_times()[:4]))
    return 0.0


def in_airflow(
    data: Path, size: int, home: Path, trials: int | None, ingest_only: bool
) -> Iterator[Row]:
    """Measure both stages as DAG runs in the stack of ``moovier up``.

    The ingest also counts ``moovier data use``, which runs before the stack starts.
    """
    if ingest_only:
        raise SystemExit("in Airflow the ingest starts the retraining; leave out --ingest-only")
    ports = ("MOOVIER_PORT", "MOOVIER_MLFLOW_PORT", "MOOVIER_AIRFLOW_PORT")
    environment = {**_environment(home, trials), **{name: str(free_port()) for name in ports}}
    environment.pop("MLFLOW_TRACKING_URI", None)
    moovier = console_script("moovier")
    used = _run([[moovier, "data", "use", str(data)]], environment, size, "use", home / "use.log")
    log = home.parent / f"retrain-{size}.log"
    try:
        with log.open("ab") as output:
            up = subprocess.Popen(
                [moovier, "up", "--detach"], env=environment, stdout=output, stderr=output, cwd=ROOT
            )
            scheduler = _scheduler(home, up)
            with peak_memory(scheduler, without=frozenset([scheduler])) as peak:
                code = up.wait()
        if code:
            raise SystemExit(f"moovier up failed:\n{log.read_text()[-3000:]}")
        seconds = _dag_seconds(home / "airflow" / "airflow.db")
    finally:
        subprocess.run([moovier, "down"], env=environment, cwd=ROOT, check=False)
    load = float(np.mean(peak.loads)) if peak.loads else None
    yield Row(
        size, "ingest", used.seconds + seconds["moovier_ingest"], used.peak_gb, load=used.load
    )
    yield Row(size, "retrain", seconds["moovier_retrain"], peak.gb, load=load)


def _scheduler(home: Path, up: subprocess.Popen[bytes]) -> int:
    """Return the process id of the stack's scheduler, whose descendants are the tasks."""
    from moovier.stack.process_cleanup import stack_processes

    while up.poll() is None:
        for process in stack_processes(home):
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if "scheduler" in command and any(part.endswith("airflow") for part in command):
                return process.pid
        time.sleep(1.0)
    raise SystemExit("moovier up ended before its scheduler started")


def _dag_seconds(database: Path) -> dict[str, float]:
    """Return the seconds of each DAG's run, from Airflow's database."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        runs = connection.execute("SELECT dag_id, start_date, end_date FROM dag_run").fetchall()
    return {
        dag: (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
        for dag, start, end in runs
        if start and end
    }


def exponents(rows: Sequence[Row]) -> dict[str, float]:
    """Return the growth exponent of each stage's seconds and memory, from 1M ratings on."""
    found: dict[str, float] = {}
    for stage in dict.fromkeys(row.stage for row in rows):
        large = [row for row in rows if row.stage == stage and row.ratings >= 1_000_000]
        if len(large) < 2:
            continue
        sizes = np.log([row.ratings for row in large])
        for name in ("seconds", "peak_gb", "processor_s"):
            if any(getattr(row, name) is None for row in large):
                continue
            values = np.log([max(getattr(row, name), 1e-3) for row in large])
            found[f"{stage}_{name}"] = float(np.polyfit(sizes, values, 1)[0])
    return found


def missed(rows: Sequence[Row]) -> list[str]:
    """Return a description of each bar that is missed."""
    problems = []
    for row in rows:
        bar = BARS_S.get((row.ratings, row.stage))
        if bar is not None and row.seconds > bar:
            problems.append(f"{row.ratings:,} {row.stage} took {row.seconds:.0f} s, not {bar:.0f}")
        if row.peak_gb > BAR_GB:
            problems.append(f"{row.ratings:,} {row.stage} took {row.peak_gb:.1f} GB")
    return problems + [
        f"{name} grows with exponent {value:.2f}"
        for name, value in exponents(rows).items()
        if value > BAR_EXPONENT
    ]


def table(rows: Sequence[Row]) -> Table:
    """Return the table of all rows."""
    shown = Table(title="Growth with the number of ratings")
    for column in ("ratings", "stage", "seconds", "peak GB", "processor s", "load"):
        shown.add_column(column, justify="left" if column == "stage" else "right")
    for row in rows:
        processor, load = (
            "" if value is None else f"{value:.1f}" for value in (row.processor_s, row.load)
        )
        seconds, peak = f"{row.seconds:.1f}", f"{row.peak_gb:.2f}"
        shown.add_row(f"{row.ratings:,}", row.stage, seconds, peak, processor, load)
    shown.caption = ", ".join(f"{name} ~ n^{value:.2f}" for name, value in exponents(rows).items())
    return shown


if __name__ == "__main__":
    main()
