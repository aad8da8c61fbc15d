"""Runs, versions and aliases in MLflow, and the promotion gate.

No other room imports MLflow.
"""
