"""Settings from the file and the environment, and the paths of the state."""

from __future__ import annotations

import json
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.config import (
    SOCKET_PATH_LIMIT_BYTES,
    Paths,
    Settings,
    load_settings,
    resolve_home,
    resolve_paths,
)
from hydra_box.errors import ConfigError, StateError

# --- settings ---------------------------------------------------------------


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve_paths({"HYDRA_BOX_HOME": str(tmp_path)})


def _write(paths: Paths, text: str) -> Paths:
    paths.config.write_text(text)
    return paths


def test_without_a_file_the_defaults_hold(paths: Paths) -> None:
    assert load_settings(paths, {}) == Settings()
    assert (Settings().host, Settings().port) == ("127.0.0.1", 4937)


def test_the_environment_overrules_the_file_and_the_file_the_defaults(paths: Paths) -> None:
    _write(paths, 'host = "::1"\nport = 5000\ndrain_timeout_seconds = 5\n')
    environ = {"HYDRA_BOX_PORT": "6000", "HYDRA_BOX_QUEUE_TIMEOUT_SECONDS": "2.5"}
    assert load_settings(paths, environ) == Settings(
        host="::1", port=6000, drain_timeout_seconds=5.0, queue_timeout_seconds=2.5
    )


def test_a_list_is_one_in_the_file_and_has_commas_in_the_environment(paths: Paths) -> None:
    _write(paths, 'allowed_hosts = ["box.lan", "llm.example"]\n')
    assert load_settings(paths, {}).allowed_hosts == ("box.lan", "llm.example")
    environ = {"HYDRA_BOX_ALLOWED_HOSTS": "box.lan, llm.example,"}
    assert load_settings(paths, environ).allowed_hosts == ("box.lan", "llm.example")


def test_every_setting_can_come_from_either(paths: Paths) -> None:
    values = {name: getattr(Settings(), name) for name in Settings.__struct_fields__}
    environ = {
        f"HYDRA_BOX_{name.upper()}": ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }
    assert load_settings(paths, environ) == Settings()
    # What JSON says of a text, a number, a truth and a list is TOML, too.
    _write(paths, "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    assert load_settings(paths, {}) == Settings()


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("prot = 1", ": unknown key 'prot'", "the nearest is 'port'"),
        (
            "queue_timeout = 1",
            ": unknown key 'queue_timeout'",
            "the nearest is 'queue_timeout_seconds'",
        ),
        ("[hosts]\nport = 1", ": unknown key 'hosts'", "the nearest is 'host'"),
        ("port 4937", "Expected '=' after a key", None),
        ("port = 1\nport = 2", "Cannot overwrite a value", None),
    ],
)
def test_a_wrong_file_is_named_with_its_key(
    paths: Paths, text: str, fact: str, hint: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(_write(paths, text), {})
    assert caught.value.message.startswith(f"{paths.config}: ")
    assert fact in caught.value.message
    assert caught.value.hint == hint


PORT = "a whole number from 0 to 65,535"
SECONDS = "a number of seconds, 0 or more"
BYTES = "a whole number of bytes, 1 or more"


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("port = 70000", f"port is 70000, and takes {PORT}", "port = 4937"),
        ("port = -1", f"port is -1, and takes {PORT}", "port = 4937"),
        ("port = true", f"port is true, and takes {PORT}", "port = 4937"),
        ('port = "http"', f'port is "http", and takes {PORT}', "port = 4937"),
        ('host = ""', 'host is "", and takes a text that is not empty', 'host = "127.0.0.1"'),
        ("host = 1", "host is 1, and takes a text that is not empty", 'host = "127.0.0.1"'),
        ("tls_key = 2026-01-01", 'tls_key is "2026-01-01", and takes a text', 'tls_key = "..."'),
        (
            'currency = "thirteen of them"',
            'currency is "thirteen of them", and takes a text of at most 12 characters',
            'currency = "..."',
        ),
        (
            "queue_timeout_seconds = nan",
            f"queue_timeout_seconds is nan, and takes {SECONDS}",
            "queue_timeout_seconds = 60.0",
        ),
        (
            "queue_timeout_seconds = inf",
            f"queue_timeout_seconds is inf, and takes {SECONDS}",
            "queue_timeout_seconds = 60.0",
        ),
        (
            "head_timeout_seconds = 0",
            "head_timeout_seconds is 0, and takes a number of seconds, more than 0",
            "head_timeout_seconds = 20.0",
        ),
        (
            'remote_media = "perhaps"',
            'remote_media is "perhaps", and takes true or false',
            "remote_media = false",
        ),
        (
            "allowed_hosts = [1]",
            "allowed_hosts is [1], and takes a list of texts",
            'allowed_hosts = ["first.example","second.example"]',
        ),
        (
            'body_limit_bytes = "64 MiB"',
            f'body_limit_bytes is "64 MiB", and takes {BYTES}',
            "body_limit_bytes = 33554432 (32 MiB)",
        ),
        (
            "media_limit = 1.5",
            "media_limit is 1.5, and takes a whole number, 0 or more",
            "media_limit = 16",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_the_setting_takes(
    paths: Paths, text: str, fact: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(_write(paths, text), {})
    assert caught.value.message == f"{paths.config}: {fact}"
    assert caught.value.hint == f"for example: {hint}"


@pytest.mark.parametrize("text", ["", "http", "1.5", "0x10", "99999", " ", "1" * 5000])
def test_a_wrong_variable_is_named(paths: Paths, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(paths, {"HYDRA_BOX_PORT": text})
    assert (
        caught.value.message
        == f"HYDRA_BOX_PORT is {f'{chr(34)}{text}{chr(34)}'[:100]}, and takes {PORT}"
    )
    assert caught.value.hint == "for example: HYDRA_BOX_PORT=4937"


@pytest.mark.parametrize(
    ("variable", "text", "fact", "hint"),
    [
        ("REMOTE_MEDIA", "yes", 'is "yes", and takes true or false', "=false"),
        ("QUEUE_TIMEOUT_SECONDS", "1m", f'is "1m", and takes {SECONDS}', "=60.0"),
        ("BODY_LIMIT_BYTES", "32M", f'is "32M", and takes {BYTES}', "=33554432 (32 MiB)"),
        ("HOST", "", 'is "", and takes a text that is not empty', "=127.0.0.1"),
    ],
)
def test_a_wrong_value_of_a_variable_is_told_in_its_words(
    paths: Paths, variable: str, text: str, fact: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(paths, {f"HYDRA_BOX_{variable}": text})
    assert caught.value.message == f"HYDRA_BOX_{variable} {fact}"
    assert caught.value.hint == f"for example: HYDRA_BOX_{variable}{hint}"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("HYDRA_BOX_ALLOWED_HOST", "HYDRA_BOX_ALLOWED_HOSTS"),
        ("HYDRA_BOX_PROT", "HYDRA_BOX_PORT"),
        ("HYDRA_BOX_port", "HYDRA_BOX_PORT"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_refused(
    paths: Paths, variable: str, meant: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{variable} is no setting") as caught:
        load_settings(paths, {variable: "1"})
    assert caught.value.hint == f"did you mean {meant}?"


def test_other_variables_of_ours_are_no_settings(paths: Paths) -> None:
    others = ("HOME", "URL", "API_KEY", "UPSTREAM_KEY", "INSTANCE_ID", "LOCK_FD", "KEPT_ADDRESS")
    assert load_settings(paths, {f"HYDRA_BOX_{one}": "x" for one in others}) == Settings()


def test_a_file_that_cannot_be_read(paths: Paths) -> None:
    paths.config.mkdir()
    with pytest.raises(ConfigError) as caught:
        load_settings(paths, {})
    assert caught.value.message == f"{paths.config} cannot be read: Is a directory"


def test_a_file_that_is_not_text(paths: Paths) -> None:
    paths.config.write_bytes(b'host = "\xff"')
    with pytest.raises(ConfigError, match="can't decode byte 0xff"):
        load_settings(paths, {})


@given(content=st.binary(max_size=200) | st.text(max_size=100).map(lambda it: it.encode()))
def test_any_file_gives_settings_or_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    paths = resolve_paths({"HYDRA_BOX_HOME": str(tmp_path_factory.getbasetemp())})
    paths.config.write_bytes(content)
    with suppress(ConfigError):
        assert isinstance(load_settings(paths, {}), Settings)


# --- where things are -------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"HYDRA_BOX_HOME": "/a", "STATE_DIRECTORY": "/b", "XDG_DATA_HOME": "/c"}, "/a"),
        ({"STATE_DIRECTORY": "/var/lib/hydra-box", "HOME": "/h"}, "/var/lib/hydra-box"),
        ({"XDG_DATA_HOME": "/c", "HOME": "/h"}, "/c/hydra-box"),
        ({"HOME": "/h"}, "/h/.local/share/hydra-box"),
        ({"HYDRA_BOX_HOME": "", "XDG_DATA_HOME": "", "HOME": "/h"}, "/h/.local/share/hydra-box"),
        ({"HYDRA_BOX_HOME": "relative"}, f"{Path.cwd()}/relative"),
    ],
)
def test_homes(environ: dict[str, str], home: str) -> None:
    assert resolve_home(environ) == Path(home)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    unknown = max(user.pw_uid for user in pwd.getpwall() if user.pw_uid < 65000) + 1
    monkeypatch.setattr(os, "getuid", lambda: unknown)
    with pytest.raises(StateError, match="home directory of this user is not known") as caught:
        resolve_home({})
    assert "HYDRA_BOX_HOME" in (caught.value.hint or "")
    with pytest.raises(StateError):
        resolve_home({"HYDRA_BOX_HOME": "~no-such-user/box"})


def test_paths_of_a_short_home() -> None:
    paths = resolve_paths({"HYDRA_BOX_HOME": "/box"})
    assert paths.run == Path("/box/run")
    assert paths.management_socket == Path("/box/run/daemon.sock")
    assert paths.database == Path("/box/hydra-box.db")
    socket = paths.instance_socket("a-service-name-01234567")
    assert socket == Path("/box/run/instances/01234567/engine.sock")
    assert paths.instance_log("a-01234567") == Path("/box/logs/a-01234567.log")


@given(home=st.text("abö/", min_size=1, max_size=300))
def test_every_home_has_sockets_that_can_be_bound(home: str) -> None:
    environ = {"HYDRA_BOX_HOME": f"/{home}"}
    paths = resolve_paths(environ)
    service_name = "x" * 64
    socket = paths.instance_socket(f"{service_name}-01234567")
    assert len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT_BYTES
    assert len(os.fsencode(paths.management_socket)) <= SOCKET_PATH_LIMIT_BYTES
    assert resolve_paths(environ) == paths


def test_long_homes_have_short_run_directories_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = ({"HYDRA_BOX_HOME": f"/{'x' * 200}/{name}"} for name in "ab")
    paths = resolve_paths(first)
    assert paths.home == Path(first["HYDRA_BOX_HOME"])
    assert not paths.run.is_relative_to(paths.home)
    assert paths.run != resolve_paths(second).run
    monkeypatch.setenv("TMPDIR", f"/{'y' * 200}")
    assert resolve_paths(first) == paths


# --- making them ------------------------------------------------------------


def test_the_directories_are_private_and_can_be_made_twice(home: Path) -> None:
    paths = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    for _ in range(2):
        paths.create()
    for made in (paths.home, paths.run, paths.instances, paths.logs, paths.engines):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        assert [file for file in made.iterdir() if file.is_file()] == []


def test_a_directory_that_stands_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    resolve_paths({"HYDRA_BOX_HOME": str(tmp_path)}).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_directory_that_everyone_may_write_is_refused_and_left_alone(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(StateError, match=r"can be written by every user \(mode 1777\)") as caught:
        resolve_paths({"HYDRA_BOX_HOME": str(shared)}).create()
    assert caught.value.hint
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StateError, match="belongs to another user") as caught:
        resolve_paths({"HYDRA_BOX_HOME": str(tmp_path)}).create()
    assert "HYDRA_BOX_HOME" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("place", "fact"),
    [
        ("a-file", "File exists"),
        ("a-file/below", "Not a directory"),
        ("/proc/hydra-box", "No such file or directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_home_that_cannot_be_made(tmp_path: Path, place: str, fact: str) -> None:
    (tmp_path / "a-file").touch()
    home = tmp_path / place
    with pytest.raises(StateError) as caught:
        resolve_paths({"HYDRA_BOX_HOME": str(home)}).create()
    assert caught.value.message == f"{home} is not writable: {fact}"
    assert "HYDRA_BOX_HOME" in (caught.value.hint or "")


def test_settings_of_a_home_that_cannot_be_made_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    paths = resolve_paths({"HYDRA_BOX_HOME": str(tmp_path / "a-file" / "below")})
    assert load_settings(paths, {}) == Settings()
