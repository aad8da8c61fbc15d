"""Moovier: movie recommendations by collaborative filtering that keep themselves up to date."""

__version__ = "0.1.0"
