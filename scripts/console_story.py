"""The stories of the console by keyboard alone: deploy, trial, scale, share, delete.

One telling for the test that checks it, and for the script that takes the pictures.
"""

from __future__ import annotations

from collections.abc import Callable

from tmux_driver import Terminal

Picture = Callable[[str], None]
"""``picture(name)``: the screen is worth a picture now."""


def start_daemon(terminal: Terminal, picture: Picture) -> None:
    """None runs: have the console start one in the background."""
    terminal.sees("No daemon runs", "in the background")
    picture("start")
    terminal.press("b")
    terminal.sees("No services yet", "Press d", gone=("No daemon runs",))


def deploy(terminal: Terminal, picture: Picture) -> None:
    """The demo model, the first of the catalog."""
    terminal.press("d")
    terminal.sees("demo", "ON DISK", "✓ yes")
    picture("deploy-model")
    terminal.press("Enter")
    terminal.sees("demo fits", "Deploy")
    picture("deploy-plan")
    terminal.press("F5")
    terminal.sees("ready", "Trial")
    picture("deploy-ready")


def trial(terminal: Terminal, picture: Picture) -> None:
    """Ask it something."""
    terminal.press("t")
    terminal.sees("Ask something")
    terminal.type("What is Hydra Box?")
    terminal.press("Enter")
    terminal.sees("TTFT", "tokens/s", "appliance")
    picture("trial")
    terminal.press("Escape")
    terminal.sees("demo", gone=("Ask something", "TTFT"))


def home(terminal: Terminal) -> None:
    """To the services, from wherever one is."""
    for _ in range(4):
        if "BASE MODEL" in terminal.text:
            return
        terminal.press("Escape")
        terminal.sees("Hydra Box")
    terminal.sees("BASE MODEL")


def scale(terminal: Terminal, picture: Picture) -> None:
    """One instance more."""
    home(terminal)
    terminal.press("s")
    terminal.sees("fits: 1 instance more", "each new instance")
    picture("scale")
    terminal.press("Enter")
    terminal.sees("2/2", "RUNNING", gone=("goes to",))
    picture("home")


def look_around(terminal: Terminal, picture: Picture) -> None:
    """The page of the service, and every section."""
    home(terminal)
    terminal.press("Enter")
    terminal.sees("Basic information")
    picture("service")
    terminal.press("Right")
    terminal.sees("Authorization: Bearer")
    picture("service-calls")
    for key, words, name in (
        ("2", "Library:", "models"),
        ("3", "my-agent", "keys"),
        ("4", "By model", "usage"),
        ("5", "bundled", "engines"),
        ("6", "lines:", "logs"),
    ):
        terminal.press(key)
        terminal.sees(words)
        picture(name)
    terminal.press("1")
    terminal.press("Escape")


def share(terminal: Terminal, picture: Picture) -> None:
    """A user, and a key that is made, changed, disabled, enabled and rotated."""
    home(terminal)
    terminal.press("3")
    terminal.sees("New key")
    terminal.press("U")
    terminal.sees("1 user")
    terminal.press("n")
    terminal.sees("who it is")
    terminal.type("mary")
    terminal.press("Enter")
    terminal.sees("2 users", "owns 0 keys", gone=("mary is made",))
    picture("users")
    terminal.press("Escape")
    terminal.sees("New key", gone=("2 users",))
    terminal.press("n")
    terminal.sees("Requests/min")
    terminal.type("my-app")
    terminal.press("Enter")
    terminal.sees("not shown again")
    picture("key")
    terminal.press("Escape")
    terminal.sees("my-app", "● valid")
    terminal.press("e")
    terminal.sees("Edit my-app", "it never ends")
    terminal.type("my-agent")
    terminal.sees("my-agent")
    picture("key-edit")
    terminal.press("Enter")
    terminal.sees("my-agent", gone=("my-app",))
    terminal.press("Space")
    terminal.sees("○ disabled")
    terminal.press("Space")
    terminal.sees("● valid", gone=("○ disabled",))
    terminal.press("o")
    terminal.sees("the old secret opens until")
    terminal.press("Enter")
    terminal.sees("has a new secret")
    terminal.press("Escape")
    terminal.sees("rotated   its old secret opens until", gone=("is disabled", "is enabled"))
    terminal.press("1")


def delete(terminal: Terminal, picture: Picture) -> None:
    """For good, once its name is typed."""
    home(terminal)
    terminal.press("x")
    terminal.sees("Delete demo", "to confirm")
    terminal.type("demo")
    picture("delete")
    terminal.press("Enter")
    terminal.sees("No services yet")
