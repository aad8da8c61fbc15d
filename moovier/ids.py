"""The bounds of ids in files, in requests and in the feedback database."""

from __future__ import annotations

#: The largest id of a user or movie. It fits 64 bits, and JSON parsers that read numbers as doubles
#: read it exactly.
MAX_ID = 9_200_000_000_000_000_000
#: The largest id of IMDb and TMDB: both are far below, and 32 bits suit every reader.
MAX_SITE_ID = 2**31 - 1
