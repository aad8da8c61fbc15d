"""What people say over HTTP: their ratings and deletions, and the keys that let them write."""
