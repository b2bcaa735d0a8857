"""10 000 frames over a line that damages them; the million is in `tests/soak/test_serial_torture.py`."""

from typing import ClassVar

import pytest

from evcharge_hal.contract.errors import ProtocolError
from evcharge_hal.link import cobs
from evcharge_hal.link.frames import BadFrame, Frame, FrameDecoder, _decode_body
from evcharge_hal.sim.coprocessor import Coprocessor
from evcharge_hal.sim.coprocessor_connector import CoprocessorConnector
from tests.support import broken_coprocessors as broken
from tests.support.damaged_line import Damage
from tests.support.guard_laws import BrokenLawError
from tests.support.serial_torture import Tally, play_episode

FRAMES = 10_000
EPISODES_TO_FIND_A_BUG = 25


def test_10000_frames_of_which_many_are_damaged() -> None:
    tally, seed = Tally(), 0
    while sum(tally.frames.values()) < FRAMES:
        play_episode(seed, tally)
        seed += 1
    assert set(tally.damaged) == set(Damage), "every kind has happened"
    assert tally.noticed["noise"] > 0


class CarelessDecoder(FrameDecoder):
    """Believes what it reads."""

    def feed(self, data: bytes) -> list[Frame | BadFrame]:
        self._partial += data
        *ended, rest = bytes(self._partial).split(b"\0")
        self._partial[:] = rest[:60]
        return [frame for piece in ended if (frame := self._read(piece)) is not None]

    def _read(self, piece: bytes) -> Frame | BadFrame | None:
        try:
            body = cobs.decode(piece)[:-4]
        except ProtocolError:
            return None
        return _decode_body(body) if len(body) >= 3 else None


class CarelessCoprocessor(Coprocessor):
    def _boot(self, now_s: float) -> None:
        super()._boot(now_s)
        self._decoder = CarelessDecoder()


def coprocessor_of(kind: type[CoprocessorConnector]) -> type[Coprocessor]:
    class Broken(Coprocessor):
        connector_type: ClassVar[type[CoprocessorConnector]] = kind

    return Broken


@pytest.mark.parametrize(
    "kind",
    [
        CarelessCoprocessor,
        coprocessor_of(broken.RoundsUp),
        coprocessor_of(broken.KeepsThePwm),
        coprocessor_of(broken.HasNoDeadline),
        coprocessor_of(broken.ClosesInAnyState),
    ],
    ids=["no checksum", "rounds up", "keeps the PWM", "no deadline", "closes in any state"],
)
def test_a_planted_bug_is_found_and_its_seed_is_named(kind: type[Coprocessor]) -> None:
    def search() -> None:
        for seed in range(EPISODES_TO_FIND_A_BUG):
            play_episode(seed, Tally(), kind)

    with pytest.raises(BrokenLawError, match="EVC_SOAK_SEED="):
        search()
