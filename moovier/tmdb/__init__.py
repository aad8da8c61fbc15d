"""Movie details from The Movie Database (TMDB), or the same object from the catalogue."""
