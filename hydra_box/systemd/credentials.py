"""The hub's token, where systemd hands it over as a file of this service (``LoadCredential=``).

The other credentials, ``tls-certificate`` and ``tls-key``, are found by ``tls.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hydra_box.tls import has_credential

HUB_TOKEN: Final = "hub-token"  # noqa: S105 - the name of the file, not the token


def with_hub_token(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, in which the credential stands where the hub's token is looked for.

    The token itself stays in its file. It wins over a variable: who gave the unit a credential
    has taken more trouble.

    Raises:
        ConfigError: the credentials cannot be looked at.
    """
    found = dict(environ)
    path = Path(environ.get("CREDENTIALS_DIRECTORY", "")) / HUB_TOKEN
    if "CREDENTIALS_DIRECTORY" in environ and has_credential(path):
        for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            found.pop(variable, None)
        found["HF_TOKEN_PATH"] = str(path)
    return found
