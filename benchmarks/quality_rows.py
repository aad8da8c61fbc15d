"""The rows of ``quality.json``, one per model, with the differences from the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.adapters import CHAMPION
from benchmarks.quality_measure import INTERVAL_SEED, Entry
from moovier.evaluation import metrics

#: A row of ``quality.json``.
Row = Mapping[str, Any]


def rows_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return one row per model; a metric that does not apply is None.

    NDCG@10 is 0 to 1, and ``rmse`` and ``mae`` are in stars. ``fit_s`` is the median time of the
    fits for the visitor protocol, or for the stars if the model does not rank. ``seeds`` is the
    number of fits that the metrics are means over.
    """
    champion = next((entry for entry in entries if entry["model"] == CHAMPION), None)
    return [_row(entry, champion) for entry in entries]


def _row(entry: Entry, champion: Entry | None) -> dict[str, Any]:
    visitor = entry["visitor"] or {}
    next_visit = entry["next_visit"] or {}
    by_time = entry["by_time"] or {}
    global_time = entry["global_time"] or {}
    stars = entry["stars"] or {}
    timed = visitor or next_visit or stars
    return {
        "model": entry["model"],
        "ours": entry["ours"],
        "keras": entry["keras"],
        "visitor_ndcg_at_10": visitor.get("mean"),
        "visitor_low": visitor.get("low"),
        "visitor_high": visitor.get("high"),
        "visitor": visitor.get("by_k"),
        "visitor_k0": visitor.get("k0"),
        "visitor_debiased": visitor.get("debiased"),
        "visitor_users": len(visitor["users"]) if visitor else None,
        "next_visit_ndcg_at_10": next_visit.get("mean"),
        "next_visit_low": next_visit.get("low"),
        "next_visit_high": next_visit.get("high"),
        "next_visit_debiased": next_visit.get("debiased"),
        "next_visit_users": len(next_visit["users"]) if next_visit else None,
        "visitor_minus_champion": difference(entry, champion, "visitor"),
        "next_visit_minus_champion": difference(entry, champion, "next_visit"),
        "order_audit": entry["order_audit"],
        "ndcg_at_10": by_time.get("mean"),
        "global_time_ndcg_at_10": global_time.get("mean"),
        "coverage": next_visit.get("coverage_at_10"),
        "popularity_bias": next_visit.get("popularity_bias_at_10"),
        "rmse": stars.get("rmse"),
        "mae": stars.get("mae"),
        "seeds": timed.get("fits"),
        "fit_s": timed.get("fit_s"),
        "ms_per_user": visitor.get("ms_per_user"),
        "tuned": entry["tuning"]["chosen"],
        "epochs": entry["tuning"]["epochs"],
        "trials": entry["tuning"]["trials"],
    }


def difference(entry: Entry, champion: Entry | None, protocol: str) -> dict[str, float] | None:
    """Return model minus champion in NDCG@10, with the paired bootstrap's 95 % interval.

    Both sides have the same users, each with the mean over the seeds. None for the champion itself,
    and if one of the two results is missing.
    """
    if champion is None or entry["model"] == champion["model"]:
        return None
    ours, theirs = entry[protocol], champion[protocol]
    if not ours or not theirs:
        return None
    if list(ours["users"]) != list(theirs["users"]):
        raise ValueError(
            f"{entry['model']} and {champion['model']} were measured on different users; measure "
            "both again"
        )
    # Files have null for NaN, and float64 converts None to NaN.
    values = np.array(ours["ndcg"], np.float64) - np.array(theirs["ndcg"], np.float64)
    low, high = metrics.bootstrap(values, INTERVAL_SEED)
    return {"mean": metrics.mean(values), "low": low, "high": high}
