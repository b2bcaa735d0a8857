import json
import logging

import pytest

from evcharge_hal.sim.persistence import FILE_NAME, FilePersistence, Memory
from evcharge_hal.sim.plant.car import CarSettings, Request
from evcharge_hal.sim.plant.memory import ConnectorMemory, PlantMemory

CAR = CarSettings(Request.PAUSE, 10.0, 1, 8.0, 4000.0, is_after_pwm=False, is_sleepy=True)
CONNECTORS = (ConnectorMemory(1, 12.5, 3, has_car=True, cable_a=20, soc_pct=33.5, car=CAR), ConnectorMemory(2))
MEMORY = Memory("0123456789abcdef", 7, PlantMemory(CONNECTORS, 4.0, 5.0))


def test_what_was_saved_is_read_back(tmp_path):
    FilePersistence(tmp_path).save(MEMORY)
    assert FilePersistence(tmp_path).load() == MEMORY


def test_a_new_board_has_a_uid_of_its_own(tmp_path):
    first, second = FilePersistence(tmp_path).load(), FilePersistence(tmp_path).load()
    assert first.uid != second.uid
    assert (len(first.uid), first.boot_count, first.plant) == (16, 0, PlantMemory())
    int(first.uid, 16)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"uid": "zz", "boot_count": 1}',
        b'{"uid": "0123456789abcdef", "boot_count": -1}',
        b'{"uid": "0123456789abcdef", "surprise": 1}',
        b'{"uid": "0123456789abcdef", "plant": {"connectors": [{"connector": 1, "car": {"battery_wh": 0}}]}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_moved_aside(tmp_path, content, caplog):
    (tmp_path / FILE_NAME).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert FilePersistence(tmp_path).load().boot_count == 0
    assert (tmp_path / "world.damaged").read_bytes() == content
    assert "moved aside" in caplog.text


def test_there_is_never_half_a_file(tmp_path):
    persistence = FilePersistence(tmp_path)
    persistence.save(MEMORY)
    assert json.loads((tmp_path / FILE_NAME).read_text())["boot_count"] == 7
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_disk_that_refuses_is_logged_once_and_does_not_stop_the_world(tmp_path, caplog):
    persistence = FilePersistence(tmp_path / "missing")
    for _ in range(3):
        persistence.save(MEMORY)
    assert caplog.text.count("cannot be written") == 1
