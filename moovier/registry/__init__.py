"""Runs, versions and aliases in MLflow, and the promotion gate.

No other package imports MLflow, except for the file that MLflow runs itself
(moovier/jobs/pyfunc_model.py).
"""
