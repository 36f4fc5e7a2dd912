"""How fast a model arrives: Hydra Box beside ``hf download`` and ``curl``, from the loopback.

``.venv/bin/python -m bench.downloads [MEGABYTES]`` fetches one file by each way in turn, five
times, each in a process of its own whose start counts, and prints times and ratios. Hydra Box
compares the checksum, the others do not. All share the cores of this machine with the server.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from bench.fast_hub import COMMIT, FILE, REPOSITORY
from hydra_box.models.fetch import Fetch, FetchLimits, RateLimit
from hydra_box.models.hub_cache import HubCache
from hydra_box.models.hub_client import HubClient
from hydra_box.types import ModelFile

ROUNDS = 5
MEGABYTES = 512


def main(megabytes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="hb-") as directory:
        root = Path(directory)
        source = root / "source"
        with source.open("wb") as file:
            for number in range(megabytes):
                file.write(random.Random(number).randbytes(1_000_000))
        server = subprocess.Popen(
            (sys.executable, "-m", "bench.fast_hub", str(source)), stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            compare(server.stdout.readline().strip(), root / "cache", megabytes)
        finally:
            server.terminate()
            server.wait()


def compare(url: str, cache: Path, megabytes: int) -> None:
    environ = {
        **os.environ,
        "HF_ENDPOINT": url,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }
    address = f"{url}/{REPOSITORY}/resolve/{COMMIT}/{FILE}"
    hf = str(Path(sysconfig.get_path("scripts")) / "hf")
    ways = {
        "Hydra Box": (sys.executable, "-m", "bench.downloads", "--fetch", url, str(cache)),
        "hf download": (hf, "download", REPOSITORY, FILE),
        "curl": ("curl", "--silent", "--output", str(cache / "curl"), address),
    }
    ways = {name: argv for name, argv in ways.items() if shutil.which(argv[0])}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, argv in ways.items():
            shutil.rmtree(cache, ignore_errors=True)
            cache.mkdir()
            seconds[name].append(timed(argv, environ))
    ours = statistics.median(seconds["Hydra Box"])
    print(f"{megabytes} MB over the loopback, {ROUNDS} rounds")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(
            f"{name:<12} median {median:.2f} s, best {min(times):.2f} s, "
            f"{megabytes / median:,.0f} MB/s; Hydra Box is {median / ours:.2f} x as fast"
        )


def timed(argv: tuple[str, ...], environ: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(argv, env=environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def fetch(url: str, cache: Path) -> None:
    environ = {"HF_ENDPOINT": url, "HF_TOKEN_PATH": "/nonexistent"}
    with HubClient(environ) as client:
        snapshot = client.snapshot(REPOSITORY, None)
    file = ModelFile(name=FILE, size_bytes=snapshot.sizes[FILE], digest=snapshot.digests[FILE])
    Fetch(
        environ,
        HubCache(cache),
        REPOSITORY,
        snapshot.revision,
        (file,),
        limits=FetchLimits(),
        rate=RateLimit(0),
    ).run()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fetch"]:
        fetch(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else MEGABYTES)
