#!/bin/sh
# Delete what no program in an image reads from its installed packages: tests of the large ones, and
# headers for C++ extensions. The arguments are packages to uninstall that others require, but that
# nothing in the image imports. Run it in the layer of the installation: a later one saves nothing.
set -eu
packages="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
if [ "$#" -gt 0 ]; then "$(dirname "$0")/bin/uv" pip uninstall --quiet "$@"; fi
for name in matplotlib mpl_toolkits networkx numpy pandas pyarrow scipy sklearn; do
    [ ! -d "$packages/$name" ] || find "$packages/$name" -type d -name tests -prune -exec rm -rf {} +
done
rm -rf "$packages/tensorflow/include" "$packages/pyarrow/include"
