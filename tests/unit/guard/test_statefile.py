"""What the guard remembers survives; what it cannot trust makes it careful."""

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_hal.contract.faults import FaultCode
from evcharge_hal.guard.effects import Remember
from evcharge_hal.guard.statefile import STATE_FILE_NAME, MemoryState, StateFile, StateStore, StateWriter

CAREFUL = {1: frozenset({FaultCode.RCM_SELF_TEST}), 2: frozenset({FaultCode.RCM_SELF_TEST})}
TRIPPED = Remember({1: frozenset({FaultCode.RCM_TRIP}), 2: frozenset()}, {1: 7, 2: 0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / STATE_FILE_NAME


def test_a_new_board_has_nothing_latched(path: Path) -> None:
    loaded = StateFile(path).load([1, 2])
    assert loaded.remembered == Remember({1: frozenset(), 2: frozenset()}, {1: 0, 2: 0})
    assert loaded.notice == ""


latches = st.frozensets(st.sampled_from(FaultCode))
closings = st.integers(0, 10**9)


@settings(deadline=None, max_examples=40)
@given(
    remembered=st.builds(
        Remember,
        latched=st.fixed_dictionaries({1: latches, 2: latches}),
        closings=st.fixed_dictionaries({1: closings, 2: closings}),
        acknowledged=st.dictionaries(st.sampled_from([1, 2]), latches.filter(bool)),
        coprocessor=st.none() | st.tuples(st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(0, 2**32)),
    )
)
def test_what_was_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, remembered: Remember) -> None:
    path = tmp_path_factory.mktemp("state") / STATE_FILE_NAME
    StateFile(path).save(remembered)
    assert StateFile(path).load([1, 2]).remembered == remembered


def test_a_file_of_an_older_version_is_read(path: Path) -> None:
    path.write_text('{"version":1,"connectors":[{"id":1,"latched":["rcm_trip"],"closings":7}]}')
    loaded = StateFile(path).load([1])
    assert loaded.remembered == Remember({1: frozenset({FaultCode.RCM_TRIP})}, {1: 7})
    assert loaded.notice == ""


DAMAGED = {
    "empty, as after a power cut without a sync": b"",
    "cut short": b'{"version":1,"connectors":[{"id":1,"latched":["rcm_',
    "no json": b"\xff\x00\x13",
    "a list": b"[]",
    "another format": b'{"version":2,"connectors":[]}',
    "an unknown fault": b'{"version":1,"connectors":[{"id":1,"latched":["gremlin"],"closings":1}]}',
    "a negative count": b'{"version":1,"connectors":[{"id":1,"latched":[],"closings":-1}]}',
    "an unknown key": b'{"version":1,"connectors":[],"more":1}',
    "nested too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_latches_every_connector_and_is_put_aside(path: Path, case: str) -> None:
    path.write_bytes(DAMAGED[case])
    loaded = StateFile(path).load([1, 2])
    assert loaded.remembered.latched == CAREFUL
    assert "is damaged" in loaded.notice
    assert "acknowledgement" in loaded.notice
    if DAMAGED[case]:
        assert path.with_suffix(".bad").read_bytes() == DAMAGED[case]
    # A restart before a person came must not find a clean slate.
    again = StateFile(path).load([1, 2])
    assert again.remembered.latched == CAREFUL
    assert again.notice == ""


def test_a_file_that_cannot_be_read_latches_every_connector(path: Path) -> None:
    path.mkdir()
    loaded = StateFile(path).load([1])
    assert loaded.remembered.latched == {1: CAREFUL[1]}
    assert "cannot be read" in loaded.notice
    assert "cannot be replaced either" in loaded.notice


def test_a_connector_that_is_left_out_today_keeps_its_latch(path: Path) -> None:
    StateFile(path).save(Remember({1: frozenset(), 2: frozenset({FaultCode.CONTACTOR_WELDED})}, {1: 1, 2: 2}))
    smaller = StateFile(path)
    assert smaller.load([1]).remembered == Remember({1: frozenset()}, {1: 1})
    smaller.save(Remember({1: frozenset()}, {1: 5}))
    both = StateFile(path).load([1, 2]).remembered
    assert both == Remember({1: frozenset(), 2: frozenset({FaultCode.CONTACTOR_WELDED})}, {1: 5, 2: 2})


def test_a_connector_that_is_new_starts_clean(path: Path) -> None:
    StateFile(path).save(Remember({1: frozenset({FaultCode.RCM_TRIP})}, {1: 9}))
    assert StateFile(path).load([1, 2]).remembered == Remember(
        {1: frozenset({FaultCode.RCM_TRIP}), 2: frozenset()}, {1: 9, 2: 0}
    )


def test_a_power_cut_while_writing_leaves_the_old_state(path: Path) -> None:
    StateFile(path).save(TRIPPED)
    path.with_suffix(".new").write_bytes(b'{"version":1,"conn')  # the next write got so far
    assert StateFile(path).load([1, 2]).remembered == TRIPPED


def test_the_file_is_never_seen_half_written(path: Path) -> None:
    """A reader that looks all the time while states are saved sees only whole ones."""
    file = StateFile(path)
    file.save(TRIPPED)
    is_done = threading.Event()
    torn = []

    def look() -> None:
        while not is_done.is_set():
            try:
                json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                torn.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for count in range(50):
        file.save(Remember({1: frozenset(FaultCode) if count % 2 else frozenset()}, {1: count}))
    is_done.set()
    reader.join()
    assert torn == []


def test_a_failed_write_leaves_the_old_state_and_says_so(path: Path) -> None:
    file = StateFile(path)
    file.save(TRIPPED)
    path.with_suffix(".new").mkdir()
    with pytest.raises(OSError, match="directory"):
        file.save(Remember({1: frozenset()}, {1: 8}))
    assert StateFile(path).load([1, 2]).remembered == TRIPPED


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    StateFile(path).save(TRIPPED)
    assert path.stat().st_mode & 0o777 == 0o600


# --- the writer's thread ----------------------------------------------------------------------------------


def test_the_writer_has_written_the_latest_when_it_is_closed(path: Path) -> None:
    writer = StateWriter(StateFile(path))
    for count in range(100):
        writer.save(Remember({1: frozenset()}, {1: count}))
    writer.close(5.0)
    assert StateFile(path).load([1]).remembered.closings == {1: 99}


def test_saving_does_not_wait_for_a_disk_that_hangs(path: Path) -> None:
    """A FIFO in place of the new file makes its open hang until somebody reads, as a busy SD card would."""
    os.mkfifo(path.with_suffix(".new"))
    writer = StateWriter(StateFile(path))
    writer.save(TRIPPED)
    writer.save(Remember({1: frozenset()}, {1: 2}))  # returns although the first still hangs
    writer.close(0.0)
    with path.with_suffix(".new").open("rb"):
        pass  # lets the thread go on, and end
    writer.close(5.0)


def test_a_failing_disk_is_reported_and_tried_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.with_suffix(".new").mkdir()
    writer = StateWriter(StateFile(path))
    writer.save(TRIPPED)
    while "cannot be written" not in caplog.text or not writer.problem:
        threading.Event().wait(0.001)
    assert "Is a directory" in writer.problem
    path.with_suffix(".new").rmdir()
    writer.save(TRIPPED)
    writer.close(5.0)
    assert writer.problem == ""
    assert StateFile(path).load([1, 2]).remembered == TRIPPED


def test_a_memory_state_is_a_state_store() -> None:
    store: StateStore = MemoryState()
    assert store.load([1]).remembered == Remember({1: frozenset()}, {1: 0})
    store.save(TRIPPED)
    assert store.load([1, 2]).remembered == TRIPPED


def test_closings_of_the_last_minutes_are_kept_within_one_kernel_boot_only(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    saved = Remember({1: frozenset(), 2: frozenset()}, {1: 2, 2: 0}, {1: (100.5, 130.25), 2: ()})
    StateFile(path, "boot-1").save(saved)
    assert StateFile(path, "boot-1").load([1, 2]).remembered == saved
    assert StateFile(path, "boot-2").load([1, 2]).remembered == Remember(saved.latched, saved.closings)


def test_a_running_self_test_is_kept_within_one_kernel_boot_only(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    saved = Remember({1: frozenset(), 2: frozenset()}, {1: 2, 2: 0}, {1: (), 2: ()}, frozenset({2}))
    StateFile(path, "boot-1").save(saved)
    assert StateFile(path, "boot-1").load([1, 2]).remembered == saved
    assert StateFile(path, "boot-2").load([1, 2]).remembered.testing == frozenset()
