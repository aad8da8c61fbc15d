"""The HTTP API and the fine-tuning process: thin interfaces to :mod:`moovier`.

A request passes :mod:`bentos.middleware`, then a module of :mod:`bentos.routes`, which translates
between :mod:`bentos.schemas` and :mod:`moovier.serving`.
"""

import sys
from pathlib import Path

# `bentoml serve moovier:latest` first tries to import `moovier` as a module. If the package is
# installed as well, the Bento's program must not use that copy.
_own_folder = Path(__file__).parents[1]
_imported = sys.modules.get("moovier")
if _imported is not None and Path(str(_imported.__file__)).parents[1] != _own_folder:
    for _name in [name for name in sys.modules if name.partition(".")[0] == "moovier"]:
        del sys.modules[_name]
