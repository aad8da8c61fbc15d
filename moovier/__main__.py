"""`python -m moovier` is `moovier`."""

from moovier.cli import main

main()
