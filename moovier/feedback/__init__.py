"""Feedback over HTTP: ratings and their deletions, served lists, and API keys."""
