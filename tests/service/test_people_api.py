"""What people ask for, in this process: real models from a real MLflow, a real database."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from bentos import schemas
from bentos.lane import FastLane
from moovier.jobs.registration import connect
from moovier.models.bundle import load
from moovier.registry.version import Version
from moovier.settings import Settings
from tests.cinema import IDS, MOVIES, USERS, cinema, genres
from tests.registered import register_trained
from tests.servers import Server, free_port
from tests.service.conftest import own_settings, promote
from tests.service.test_api import answered_by, started
from tests.tmdb_free import titles_of

Model = TypeVar("Model", bound=BaseModel)
_user = itertools.count(1_000_000)
