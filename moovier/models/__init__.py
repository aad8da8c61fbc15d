"""Model families; :mod:`moovier.models.families` has the table of them."""
