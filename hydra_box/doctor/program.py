"""What ``doctor`` says of the program itself: its Python, its settings and its catalog."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from hydra_box import __version__
from hydra_box.catalog import Catalog
from hydra_box.config import Paths, Settings, load_settings
from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.errors import ConfigError, HydraError
from hydra_box.types import Finding


def check_python() -> Finding:
    """What Hydra Box runs on."""
    return finding(
        "python",
        INFO,
        f"Hydra Box {__version__} on {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}",
    )


def check_settings(paths: Paths, environ: Mapping[str, str]) -> tuple[Settings | None, Finding]:
    """The settings, if they are valid."""
    check = "settings"
    try:
        settings = load_settings(paths, environ)
    except HydraError as error:
        return None, finding(check, ERROR, error.message, error.hint)
    except OSError as error:
        return None, finding(check, ERROR, f"{paths.config}: {error.strerror}")
    where = f"from {paths.config}" if paths.config.exists() else "the defaults"
    return settings, finding(check, INFO, f"valid, {where}")


def check_models(paths: Paths) -> list[Finding]:
    """Whether the catalog can be read, and its models; above all the demo model."""
    try:
        catalog = Catalog.load(paths)
        demo = catalog.resolve("demo")
    except ConfigError as error:
        return [finding("catalog", ERROR, error.message, error.hint)]
    except OSError as error:
        return [finding("catalog", ERROR, f"{paths.home}: {error.strerror}")]
    except HydraError as error:
        hint = "install hydra-box again: its demo model is part of it"
        return [finding("demo model", ERROR, error.message, hint)]
    text = f"{demo.name}, {demo.offers[0].facts.size_bytes / 1024**2:.1f} MiB"
    problems = [finding("catalog", WARNING, problem) for problem in catalog.problems()]
    return [finding("demo model", INFO, text), *problems]
