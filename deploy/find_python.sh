#!/bin/sh
# Print the newest supported Python that can make a virtual environment, for the Makefile.
#
#   find_python.sh [PYTHON]    check only PYTHON, a name or a path
#
# Each candidate is run, because a name on the path may be a shim of a version that is not installed.
set -u

# Keep in step with requires-python in pyproject.toml, which a test compares.
supported="3.13 3.12 3.11"

# What a candidate is: its version, and whether Debian's separate package python3-venv is missing.
probe='
import sys
print("%d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    print("no-venv")
'
incomplete=""

check() { # check CANDIDATE VERSION...: print the candidate if it runs as one of the versions
    candidate=$1
    shift
    # Two words on one line: the version and perhaps "no-venv".
    found=$("$candidate" -c "$probe" 2>/dev/null | tr '\n' ' ')
    for version in "$@"; do
        case "$found" in
            "$version ") printf '%s\n' "$candidate"; exit 0 ;;
            "$version no-venv ") incomplete="$candidate (Python $version)" ;;
        esac
    done
}

if [ $# -gt 0 ] && [ -n "$1" ]; then
    check "$1" $supported
    what="$1 is not Python 3.11, 3.12 or 3.13"
else
    for version in $supported; do
        check "python$version" "$version"
    done
    check python3 $supported
    check python $supported
    what="no Python 3.11, 3.12 or 3.13 found on the path"
fi

if [ -n "$incomplete" ]; then
    what="$incomplete lacks the modules venv and ensurepip; on Debian and Ubuntu: apt install python3-venv"
else
    what="$what; install one of them"
fi
echo "$what, or set the path of another one: make PYTHON=/path/to/python3.13" >&2
exit 1
