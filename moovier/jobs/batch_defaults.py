"""Default options of a batch run, importable without NumPy and Arrow."""

#: Movies per user.
DEFAULT_TOP_K = 100
#: Files per run. `dags/moovier_batch.py` has the same number in its form.
DEFAULT_SHARDS = 2
