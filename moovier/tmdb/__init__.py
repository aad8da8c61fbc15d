"""Movie details from The Movie Database, or the same object filled from the catalogue."""
