"""Takes the pictures in ``docs/images``: ``.venv/bin/python scripts/screenshots.py``.

It drives the installed ``hydra-box`` in tmux through the stories, on a new box with a real
daemon and the demo model, at 80x24 and at 140x40.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from console_story import delete, deploy, look_around, scale, share, start_daemon, trial
from rich.console import Console
from rich.terminal_theme import MONOKAI, TerminalTheme
from rich.text import Text
from tmux_driver import Terminal, in_tmux

PROGRAM = Path(sysconfig.get_path("scripts")) / "hydra-box"
ROOT = Path(__file__).parent.parent.resolve()
SHOWN_ROOT = "/opt/hydra-box"
"""Where this checkout lies is nobody's business."""
IMAGES = ROOT / "docs" / "images"
SIZES = ((80, 24), (140, 40))
BACKGROUND = (0x11, 0x15, 0x1A)
"""As ``tui/palette.py`` has it."""
FOREGROUND = (0xD7, 0xDD, 0xE4)
ANSI = [(one[0], one[1], one[2]) for one in (MONOKAI.ansi_colors[at] for at in range(16))]
THEME = TerminalTheme(BACKGROUND, FOREGROUND, ANSI[:8], ANSI[8:])
_OUTSIDE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Rich's pictures would fetch a font; the reader's own monospaced one is as good."""


def main() -> int:
    """Take them all; the answer is the exit status."""
    if shutil.which("tmux") is None:
        print("tmux is needed and not installed", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as home:
            environ = {"HYDRA_BOX_HOME": home, "HYDRA_BOX_PORT": "0", "COLORTERM": "truecolor"}
            try:
                take(size, environ)
            finally:
                stop_daemon(environ)
    return 0


def take(size: tuple[int, int], environ: dict[str, str]) -> None:
    """The stories in one size."""
    with in_tmux([str(PROGRAM)], environ, size=size, name="pictures") as terminal:

        def picture(name: str) -> None:
            path = IMAGES / f"{name}-{size[0]}x{size[1]}.svg"
            path.write_text(svg(terminal))
            print(path.name)

        start_daemon(terminal, picture)
        deploy(terminal, picture)
        trial(terminal, picture)
        scale(terminal, picture)
        share(terminal, picture)
        look_around(terminal, picture)
        delete(terminal, picture)


def svg(terminal: Terminal) -> str:
    """The screen as it is now, as a picture without anything from outside."""
    width, _ = terminal.size
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    drawn_by = terminal.ansi.rstrip("\n").replace(str(ROOT), SHOWN_ROOT)
    console.print(Text.from_ansi(drawn_by), overflow="crop", no_wrap=True)
    drawn = console.export_svg(title="hydra-box", theme=THEME, unique_id="hydra-box")
    return _OUTSIDE.sub("", drawn)


def stop_daemon(environ: dict[str, str]) -> None:
    """End the daemon that the console has left in the background, if it came to that."""
    done = subprocess.run(
        (str(PROGRAM), "status", "--json"),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        os.kill(json.loads(done.stdout)["pid"], signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
