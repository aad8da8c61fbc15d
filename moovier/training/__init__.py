"""Training of recipes, and their evaluation under each protocol."""
