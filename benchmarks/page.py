"""``make bench-page``: measure the web page in a real browser with a real service.

In each round a new visitor opens the page and rates three movies. The page itself measures:

- the time from the click of the third rating until other recommendations are drawn;
- the largest contentful paint of the first view;
- the cumulative layout shift, 0 to 1;
- the total blocking time while the page starts: the time of tasks beyond 50 ms.

Lighthouse then rates each view as on a slow phone, if npm can download it. Its scores depend on
other work on the machine, so they are medians of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.browser import CHROMIUM, RATED, Visitor, open_page, running_page
from benchmarks.servers import ROOT
from moovier.cli.console import plain_console

#: The bars: ms to recommendations, kB of script, layout shift, Lighthouse score.
MAX_MS, MAX_KB, MAX_SHIFT, MIN_SCORE = 1000.0, 150.0, 0.1, 0.95
LIGHTHOUSE, RUNS = "lighthouse@12", 3
VIEWS = ("/", "/movie/1", "/you", "/behind")
CATEGORIES = ("performance", "accessibility", "best-practices")
METRICS = {
    "drawn_ms": "third rating to recommendations, ms",
    "painted_ms": "largest contentful paint, ms",
    "shift": "cumulative layout shift",
    "blocked_ms": "total blocking time, ms",
}
#: Records how long after the next click the list is complete and shows other movies.
_WATCH = """() => {
    const movies = () => [...document.querySelectorAll('main .card[data-movie]')]
        .map(card => card.dataset.movie).join();
    const before = movies();
    let clicked = null;
    addEventListener('pointerdown', () => { clicked = performance.now(); }, {capture: true});
    window.drawn = new Promise(tell => {
        const look = () => {
            const rests = !document.querySelector('.movie-grid[aria-busy=true]');
            if (clicked !== null && rests && movies() !== before) tell(performance.now() - clicked);
            else requestAnimationFrame(look);
        };
        look();
    });
}"""
_PAINTED = """() => new Promise(tell => {
    let shift = 0, painted = 0, blocked = 0;
    const see = (type, note) => new PerformanceObserver(seen => seen.getEntries().forEach(note))
        .observe({type, buffered: true});
    see('layout-shift', one => { if (!one.hadRecentInput) shift += one.value; });
    see('largest-contentful-paint', one => { painted = one.startTime; });
    see('longtask', one => { blocked += one.duration - 50; });
    setTimeout(() => tell({shift, painted_ms: painted, blocked_ms: blocked}), 1000);
})"""


def main() -> None:
    """Print the tables, write ``benchmarks/out/page.json``; exit 1 if a bar is missed."""
    arguments = argparse.ArgumentParser(description="The speed of the web page.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    console = plain_console(soft_wrap=False)
    with running_page(options.data) as (browser, address, reference):
        rounds = [visit(browser, address) for _ in range(options.rounds)]
        scores = {view: by_name for view in VIEWS if (by_name := lighthouse(address + view))}
    script_kb = sum(file.stat().st_size for file in (ROOT / "web/dist/page").glob("*.js.br")) / 1000
    medians = {name: statistics.median(metrics[name] for metrics in rounds) for name in METRICS}
    table = Table(title=f"{reference.name}, {options.rounds} visits")
    for column in ("metric", "median", "worst"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, text in METRICS.items():
        worst = max(metrics[name] for metrics in rounds)
        table.add_row(text, f"{medians[name]:.3g}", f"{worst:.3g}")
    table.add_row("script, compressed, kB", f"{script_kb:.1f}", "")
    console.print(table)
    print_scores(scores, console)
    data = {"name": reference.name, "hash": reference.hash, "synthetic": reference.synthetic}
    result: dict[str, Any] = {
        "data": data,
        **medians,
        "script_kb": script_kb,
        "lighthouse": scores,
        "rounds": rounds,
    }
    file = report.write("page", result)
    console.print(f"written to {file.relative_to(file.parents[2])}")
    slow = medians["drawn_ms"] > MAX_MS or script_kb > MAX_KB or medians["shift"] > MAX_SHIFT
    if slow or any(min(by_name.values()) < MIN_SCORE for by_name in scores.values()):
        console.print(
            f"a bar is missed: {MAX_MS:g} ms to recommendations, {MAX_KB:g} kB of script, "
            f"{MAX_SHIFT:g} of layout shift, a Lighthouse score of {MIN_SCORE:g}"
        )
        sys.exit(1)


def visit(browser: Browser, address: str) -> dict[str, Any]:
    """Return the metrics of one visit."""
    with open_page(browser, address) as page:
        visitor = Visitor(page)
        visitor.open_discover()
        metrics: dict[str, Any] = page.evaluate(_PAINTED)
        for words, title, stars in RATED:
            visitor.search(words, title)
            page.evaluate(_WATCH)
            visitor.rate_in_dialog(stars)
            metrics["drawn_ms"] = page.evaluate("() => window.drawn")
        return metrics


def lighthouse(address: str) -> dict[str, float] | None:
    """Return the median scores of one view, 0 to 1; None if Lighthouse is unavailable."""
    if shutil.which("npx") is None:
        return None
    runs = [scores for _ in range(RUNS) if (scores := _lighthouse_once(address))]
    if not runs:
        return None
    return {name: statistics.median(scores[name] for scores in runs) for name in CATEGORIES}


def _lighthouse_once(address: str) -> dict[str, float] | None:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "report.json")
        result = subprocess.run(
            [
                *("npx", "--yes", LIGHTHOUSE, address, "--quiet"),
                *("--output", "json", "--output-path", str(output)),
                *("--only-categories", ",".join(CATEGORIES)),
                "--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-quic",
            ],
            cwd=folder,
            env={**os.environ, "CHROME_PATH": str(CHROMIUM)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if result.returncode != 0 or not output.exists():
            sys.stderr.write(result.stderr[-1000:])
            return None
        categories = json.loads(output.read_text())["categories"]
        scores = {name: categories[name]["score"] for name in CATEGORIES}
        # A score is null if the recording failed.
        return None if None in scores.values() else scores


def print_scores(scores: dict[str, dict[str, float]], console: Console) -> None:
    """Print Lighthouse's scores by view."""
    if not scores:
        console.print("Lighthouse is unavailable: it needs npx and access to npm's registry")
        return
    table = Table("view", *CATEGORIES, title=f"Lighthouse, median of {RUNS}")
    for view, by_name in scores.items():
        table.add_row(view, *(f"{score:.2f}" for score in by_name.values()))
    console.print(table)


if __name__ == "__main__":
    main()
