"""Tests on a real master and two workers: ``make test-spark``."""
