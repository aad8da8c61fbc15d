"""Whether the world still is the one that the champion was trained on: figures on plain values."""
