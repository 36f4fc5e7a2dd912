"""Settings as they are given: ``config.toml``, then ``HYDRA_BOX_*`` in the environment."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra_box.config.paths import Paths
from hydra_box.config.settings import Settings
from hydra_box.config.values import convert
from hydra_box.errors import ConfigError

PREFIX = "HYDRA_BOX_"
"""How the variables begin that are settings; some others of ours do, too."""


def load_settings(paths: Paths, environ: Mapping[str, str]) -> Settings:
    """Settings from the file, overruled by the environment.

    Raises:
        ConfigError: names the file and the key, or the variable; and for an unknown one the
            nearest valid one.

    """
    given = {
        name: convert(name, value, where=f"{paths.config}: {name}")
        for name, value in _read_file(paths.config).items()
    }
    for variable, text in environ.items():
        if (name := variable.removeprefix(PREFIX).lower()) == variable.lower():
            continue
        if name in Settings.__struct_fields__ and variable == PREFIX + name.upper():
            given[name] = convert(name, text, where=variable, variable=variable)
        else:
            _refuse_nearly(variable, name)
    return Settings(**given)


def _refuse_nearly(variable: str, name: str) -> None:
    """A variable may be for something else, unless it is nearly one of ours."""
    if near := difflib.get_close_matches(name, Settings.__struct_fields__, n=1, cutoff=0.75):
        raise ConfigError(
            f"{variable} is no setting", hint=f"did you mean {PREFIX}{near[0].upper()}?"
        )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for key in values:
        if key not in Settings.__struct_fields__:
            near = difflib.get_close_matches(key, Settings.__struct_fields__, n=1, cutoff=0.0)
            raise ConfigError(f"{path}: unknown key {key!r}", hint=f"the nearest is {near[0]!r}")
    return values
