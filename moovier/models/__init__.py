"""Model families: one file each, named in one table (:mod:`moovier.models.families`)."""
