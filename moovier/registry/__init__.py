"""Runs, versions and aliases in MLflow, and the promotion gate; no other room imports MLflow."""
