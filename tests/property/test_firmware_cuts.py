"""The process ended at every single write of a firmware update: a defined end, never half a firmware, never two."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest

from evcharge_agent.updates.simulated import DIRECTORY, SimulatedUpdater
from tests.support.file_servers import Behaviour, http_server
from tests.support.firmware import bundle
from tests.support.firmware_cuts import update

CONTENT = bundle("2.0.0", size=5000)
ORDER = ["Downloading", "Downloaded", "Installing", "Installed"]


def judge(told, directory):
    words = [word for word, _ in itertools.groupby(told.statuses)]
    running = SimulatedUpdater(directory)
    slots = [path for path in (directory / DIRECTORY).glob("?") if path.is_dir()]
    assert told.installs <= 1
    if not words:
        assert running.version is None, "the order was never on the disk"
    elif words[-1] == "Installed":
        assert running.version == "2.0.0"
        assert (slots[0] / "agent.img").stat().st_size == 5000
    else:
        assert words[-1] in ("InstallationFailed", "DownloadFailed")
        assert running.version is None, "told as failed, and not in force"
    assert [word for word in words if word in ORDER[:3]] == ORDER[: len([w for w in words if w in ORDER[:3]])] or (
        words[:3] == ["Downloading", "Downloaded", "Downloading"]
    )
    assert not list((directory / "spool").iterdir()) if (directory / "spool").exists() else True
    return words


@pytest.mark.parametrize("is_power_cut", [False, True], ids=["killed", "power cut"])
def test_every_write_cut_once(is_power_cut):
    memory = Path("/dev/shm")  # noqa: S108 - it is the order of the writes that counts
    ends = set()
    with http_server(Behaviour(CONTENT)) as port:
        location = f"http://127.0.0.1:{port}/f"
        points, cut_at = 1, None
        while cut_at is None or cut_at <= points:
            with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
                told, last = update(Path(directory), location, cut_at, is_power_cut=is_power_cut)
                words = judge(told, last)
            if cut_at is None:
                assert words == ORDER
                points, cut_at = told.points, 0
            ends.add(words[-1] if words else None)
            cut_at += 1
    assert points > 40
    assert ends == {None, "Installed", "InstallationFailed"}
