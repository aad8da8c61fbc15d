"""Write a bundle and a Keras model as one MLflow model, without pickle.

The folder has the flavours ``python_function`` (the code given) and, for families
with a Keras model, ``keras``::

    MLmodel, requirements.txt, input_example.json …
    pyfunc_model.py, code/moovier/      the code that recommends
    bundle/                             what the service and the function read
    data/model.keras                    what `mlflow.keras.load_model` and fine-tuning read
"""

from __future__ import annotations

import ast
import importlib.metadata
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from moovier.ids import MOVIE, USER
from moovier.models import bundle
from moovier.models.bundle import Bundle
from moovier.registry.keras_export import save_keras
from moovier.registry.reader import BUNDLE

_PACKAGE = Path(__file__).resolve().parents[1]
#: Libraries that the code imports; `mlflow` brings pandas and numpy in other versions.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "orjson", "cachetools", "rapidfuzz")
#: Users in the input example.
_EXAMPLES = 2


def save_model(folder: Path, model: Bundle, keras_model: Any, code: Path) -> Path:
    """Write the model into ``folder``, which must be empty or missing; return it.

    ``code``: the file that MLflow runs to load the function ("models from code"). The modules of
    Moovier that it imports are copied, too.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model

    # It would write a line about the input example to the terminal.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
    numbers = model.index.users[:_EXAMPLES].astype("int64")
    is_text = {kind: model.ids is not None and model.ids.is_text(kind) for kind in (USER, MOVIE)}
    users = [_text(model, number) for number in numbers.tolist()] if is_text[USER] else numbers
    with tempfile.TemporaryDirectory() as scratch:
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(code),
            code_paths=[str(_copy_code(code, Path(scratch)))],
            signature=_signature(text_users=is_text[USER], text_movies=is_text[MOVIE]),
            input_example=pd.DataFrame({"user_id": users}),
            pip_requirements=requirements(),
        )
        bundle.save(model, folder / BUNDLE)
        description = Model.load(str(folder))
        # In its own folder instead of MLflow's copy, because the service reads it from there.
        function = description.flavors["python_function"]
        function["artifacts"] = {BUNDLE: {"path": BUNDLE, "uri": BUNDLE}}
        # MLflow reads only the name, but stores a path of this machine.
        function["model_code_path"] = code.name
        if keras_model is not None:
            keras_folder = save_keras(keras_model, Path(scratch) / "keras")
            shutil.move(keras_folder / "data", folder / "data")
            description.flavors["keras"] = Model.load(str(keras_folder)).flavors["keras"]
        description.save(str(folder / "MLmodel"))
    return folder


def requirements() -> list[str]:
    """Return the installed versions of the libraries that a registered model needs."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS]


def _text(model: Bundle, user: int) -> str:
    text = None if model.ids is None else model.ids.text(USER, user)
    # A user that fine-tuning added has a text in the feedback database only.
    return str(user) if text is None else text


def _signature(*, text_users: bool, text_movies: bool) -> Any:
    """Return the columns of input and output, and the parameter ``top_k``."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import (
        AnyType,
        Array,
        ColSpec,
        DataType,
        ParamSchema,
        ParamSpec,
        Schema,
    )

    user_type = DataType.string if text_users else DataType.long
    movie_type = DataType.string if text_movies else DataType.long
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(user_type, "user_id", required=False),
                # MLflow would refuse whole stars in JSON for a typed list: an int is not a double.
                ColSpec(AnyType(), "ratings", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(Array(movie_type), "movie_ids"),
                ColSpec(Array(DataType.string), "titles"),
                ColSpec(Array(DataType.double), "scores"),
            ]
        ),
        params=ParamSchema([ParamSpec("top_k", DataType.long, 10)]),
    )


def _copy_code(code: Path, folder: Path) -> Path:
    """Copy the modules that ``code`` imports from Moovier into ``folder``; return the package."""
    target = folder / _PACKAGE.name
    todo, done = [code], set()
    while todo:
        file = todo.pop()
        for name in _imported(file):
            for module in _files(name):
                if module not in done:
                    done.add(module)
                    todo.append(module)
    for module in sorted(done):
        copy = target / module.relative_to(_PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, copy)
    return target


def _imported(file: Path) -> list[str]:
    """Return the names that a module imports from Moovier, anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == _PACKAGE.name]


def _files(name: str) -> list[Path]:
    """Return the files of a dotted module name, its packages first; names of objects have none."""
    files, place = [], _PACKAGE.parent
    for part in name.split("."):
        place = place / part
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.is_file():
            files.append(file)
    return files
