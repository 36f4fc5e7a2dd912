"""What ``doctor`` says of the units that start this box."""

from __future__ import annotations

from collections.abc import Mapping

from hydra_box.errors import HydraError
from hydra_box.systemd.files import FileState, UnitFile, look, places_of
from hydra_box.systemd.install import EDITED_HINT, lingers, wanted_here
from hydra_box.systemd.unit import SERVICE, SOCKET, Scope
from hydra_box.types import Finding, Severity


def check_unit(environ: Mapping[str, str]) -> Finding:
    """Whether systemd starts this box, and with units as this version installs them.

    1. None is installed.
    2. A file cannot be read, or the settings that they are made of cannot.
    3. One was edited.
    4. One is of another version, installation or setting.
    5. It is a user's service, which ends with their last session.
    6. All is in order.
    """
    try:
        scope, files = _installed(environ)
    except HydraError as error:
        return _finding(Severity.WARNING, error.message, error.hint or "run it as root")
    if not files:
        text = "none installed; hydra-box systemd install lets this box start at boot"
        return _finding(Severity.INFO, text)
    install = f"hydra-box systemd install --{scope}"
    for state, said, hint in (
        (FileState.EDITED, "not as it was installed", EDITED_HINT),
        (FileState.OUTDATED, "not as this version would install it", install),
        (FileState.ABSENT, "missing", install),
    ):
        if those := [one.path for one in files if one.state is state]:
            return _finding(Severity.WARNING, f"{', '.join(those)} is {said}", hint)
    if scope is Scope.USER and not lingers():
        text = "the service of this user ends with their last session, and does not start at boot"
        return _finding(Severity.WARNING, text, "loginctl enable-linger")
    return _finding(Severity.INFO, f"the {scope} service is installed as this version has it")


def _installed(environ: Mapping[str, str]) -> tuple[Scope, tuple[UnitFile, ...]]:
    """The scope that starts this box, and its files; none where nothing is installed.

    Who has units of their own means those; the system service's state others cannot look into.
    """
    for scope in (Scope.USER, Scope.SYSTEM):
        places = places_of(scope, environ)
        if any((places.units / unit).exists() for unit in (SERVICE, SOCKET)):
            return scope, look(wanted_here(scope, environ), places)
    return Scope.USER, ()


def _finding(severity: Severity, message: str, hint: str | None = None) -> Finding:
    return Finding(check="systemd", severity=severity, message=message, hint=hint)
