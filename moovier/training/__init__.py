"""Fit a family on a split: the only place that decides which part of the ratings is seen when."""
