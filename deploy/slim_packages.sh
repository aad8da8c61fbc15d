#!/bin/sh
# Delete what no program in an image reads from its installed packages: tests of the large ones, type
# stubs, headers for C++ extensions, and PyArrow's network protocol. The arguments are packages to
# uninstall that others require, but that nothing in the image imports. Run it in the layer of the
# installation: a later one saves nothing.
set -eu
packages="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
if [ "$#" -gt 0 ]; then "$(dirname "$0")/bin/uv" pip uninstall --quiet "$@"; fi
for name in fsspec libcst matplotlib mpl_toolkits networkx numpy pandas pyarrow scipy sklearn zmq; do
    [ ! -d "$packages/$name" ] || find "$packages/$name" -type d -name tests -prune -exec rm -rf {} +
done
rm -rf "$packages/tornado/test" "$packages/tensorflow/include" "$packages/pyarrow/include" \
    "$packages"/pyarrow/*flight*
find "$packages" -name '*.pyi' -delete
