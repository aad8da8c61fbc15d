"""Ratings: their sources, validation, splits and arrays."""
