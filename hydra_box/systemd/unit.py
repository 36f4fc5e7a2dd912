"""The units as text: what systemd is told of Hydra Box. Why each line is there: docs/systemd.md."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from hydra_box.types import Frozen

SERVICE: Final = "hydra-box.service"
SOCKET: Final = "hydra-box.socket"
ACCOUNT: Final = "hydra-box"
"""The user and group of the system service; nobody logs in as it."""

MARK: Final = "# hydra-box: sha256 "


class Scope(StrEnum):
    """Whose service manager starts the box."""

    SYSTEM = "system"
    USER = "user"


class Wanted(Frozen, frozen=True, kw_only=True):
    """What the units of a box depend on."""

    scope: Scope
    program: tuple[str, ...]
    """The words that ``hydra-box`` is here."""
    host: str
    port: int
    home: str
    """The state directory."""


def service_text(wanted: Wanted) -> str:
    """``hydra-box.service``."""
    unit, service = list(_UNIT), _service(wanted)
    if wanted.scope is Scope.SYSTEM:
        unit += _UNIT_OF_THE_SYSTEM
        service += [*_SERVICE_OF_THE_SYSTEM, *_WALLS, *_WALLS_OF_THE_SYSTEM]
    else:
        service += [f"Environment={_word(f'HYDRA_BOX_HOME={wanted.home}')}", *_WALLS]
    target = "multi-user.target" if wanted.scope is Scope.SYSTEM else "default.target"
    install = [f"WantedBy={target}", f"Also={SOCKET}"]
    return _signed(_sections(("Unit", unit), ("Service", service), ("Install", install)))


def socket_text(wanted: Wanted) -> str:
    """``hydra-box.socket``: the endpoint's address, which is open before the daemon is."""
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    return _signed(
        _sections(
            ("Unit", ["Description=Hydra Box: the endpoint's address"]),
            (
                "Socket",
                [f"ListenStream={host}:{wanted.port}", "FileDescriptorName=http", "Backlog=2048"],
            ),
            ("Install", ["WantedBy=sockets.target"]),
        )
    )


def account_text() -> str:
    """The account of the system service, for systemd-sysusers: it owns the state and the models."""
    lines = [
        f'u {ACCOUNT} - "Hydra Box" /var/lib/hydra-box',
        f"m {ACCOUNT} video",
        f"m {ACCOUNT} render",
    ]
    return _signed("\n".join(lines) + "\n")


def signed_sum(text: str) -> str | None:
    """The checksum that a text says it had when it was installed; None: it says nothing."""
    first = text.partition("\n")[0]
    return first.removeprefix(MARK).strip() if first.startswith(MARK) else None


def is_as_installed(text: str) -> bool:
    """Whether nobody has changed a text since Hydra Box wrote it."""
    return signed_sum(text) == _sum(text.partition("\n")[2])


def _signed(body: str) -> str:
    return f"{MARK}{_sum(body)}\n{body}"


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _sections(*sections: tuple[str, Sequence[str]]) -> str:
    told = ["# Put changes into a drop-in, by systemctl [--user] edit: updates replace this file."]
    for name, lines in sections:
        told += ["", f"[{name}]", *lines]
    return "\n".join(told) + "\n"


def _word(text: str) -> str:
    """One word of a unit's line, whatever is in it (systemd.syntax(7), systemd.service(5))."""
    plain = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"' if plain != text or " " in text or "'" in text else text


def _command(program: Sequence[str], *words: str) -> str:
    # In a command's arguments, and nowhere else, a dollar begins a variable.
    arguments = (_word(word).replace("$", "$$") for word in (*program[1:], *words))
    return " ".join((_word(program[0]), *arguments))


def _service(wanted: Wanted) -> list[str]:
    program = wanted.program
    return [
        "Type=notify",
        "NotifyAccess=main",
        "SyslogIdentifier=hydra-box",
        "# The log has its levels; what comes without one is said where the daemon has failed.",
        "StandardOutput=null",
        "StandardError=journal",
        "SyslogLevel=err",
        f"ExecStart={_command(program, 'serve')}",
        f"ExecReload={_command(program, 'restart', '--wait')}",
        f"ExecStopPost={_command(program, 'systemd', 'reap')}",
        "# Engines outlive a daemon that dies; the next one adopts them. The daemon ends them when",
        "# it is told to stop, and ExecStopPost those of a daemon that could not.",
        "KillMode=process",
        "OOMPolicy=continue",
        "Restart=always",
        "RestartSec=1",
        "# Settings that are wrong do not mend themselves.",
        "RestartPreventExitStatus=2",
        "TimeoutStartSec=10min",
        "TimeoutStopSec=2min",
        "WatchdogSec=60",
        "LimitNOFILE=65536",
        "# A core of an engine is as large as its model, and has what people asked it.",
        "LimitCORE=0",
        "TasksMax=infinity",
        "UMask=0077",
    ]


_UNIT: Final = (
    "Description=Hydra Box: LLM appliance",
    f"Wants={SOCKET}",
    f"After={SOCKET}",
    "StartLimitIntervalSec=0",
)

_UNIT_OF_THE_SYSTEM: Final = (
    "# The devices below are looked up when the unit starts: the driver must be there by then.",
    "Wants=network-online.target modprobe@nvidia.service modprobe@nvidia_uvm.service",
    "After=network-online.target modprobe@nvidia.service modprobe@nvidia_uvm.service",
    "After=nvidia-persistenced.service",
)

_MAKE_DEVICES: Final = "if command -v nvidia-smi; then nvidia-smi -L; nvidia-modprobe -u -c 0; fi"

_SERVICE_OF_THE_SYSTEM: Final = (
    f"User={ACCOUNT}",
    f"Group={ACCOUNT}",
    "# As root: makes the device files, which the service itself may not.",
    f"ExecStartPre=+-/bin/sh -c '{_MAKE_DEVICES}'",
    "StateDirectory=hydra-box",
    "StateDirectoryMode=0700",
    "CacheDirectory=hydra-box",
    "CacheDirectoryMode=0700",
    "# Not /tmp: a private one is removed with a daemon that dies, under engines that live on.",
    "Environment=TMPDIR=%C/hydra-box",
    "LimitMEMLOCK=infinity",
    "LoadCredential=hub-token:hydra-box.hub-token",
    "LoadCredential=tls-certificate:hydra-box.tls-certificate",
    "LoadCredential=tls-key:hydra-box.tls-key",
)

_WALLS: Final = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "# pidfd_getfd: engines on several GPUs share memory with it.",
    "SystemCallFilter=@system-service pidfd_getfd",
    "SystemCallErrorNumber=EPERM",
)
"""What needs no privilege, so that a user's manager can do it too."""

_WALLS_OF_THE_SYSTEM: Final = (
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "DeviceAllow=char-nvidia* rw",
    "DeviceAllow=char-drm rw",
    "PrivateMounts=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "# Not PrivateUsers: the daemon could not look at the engines that an earlier one started.",
    "# Not MemoryDenyWriteExecute: CUDA and PyTorch compile kernels as they run.",
)
