"""Ratings: where they come from, what makes them valid, how they are split and indexed."""
