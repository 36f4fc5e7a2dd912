"""The client that the global options ask for."""

from __future__ import annotations

import os

from hydra_box.cli.options import Options
from hydra_box.client import Client


def connect(options: Options) -> Client:
    """A client for ``--url``, else for this user's own daemon; nothing is sent yet."""
    return Client.connect(url=options.url, api_key=options.api_key, environ=os.environ)
