"""Hostile lines between a RAPI driver and a board, and a judge that shares nothing with the driver.

Text, halves of lines, whole lines with a right check that lie (states, restarts, answers under any id), damaged bytes in
both directions, pulses that get lost, restarts. Judged are every command the driver writes and what the car reads.
"""

import random
from dataclasses import dataclass, field

from evcharge_hal.contract.pilot import PilotCommand, PilotOutput
from evcharge_hal.contract.units import Amps
from evcharge_hal.link.rapi import RapiLink
from tests.support.rapi_board import B, C, RapiBoard, _checked

STEP_S = 0.02
SETTLE_S = 3.5
"""A lower limit is on the pilot by then: lost lines are said again after 0.7 s, a lie is found out by the next question,
and a board that tests its sensor hears nothing for 1 s."""
BOOT_S = 2.0
"""After a boot a board goes on at its own maximum until it is stopped; the driver cannot be quicker than its lines."""
WORDS = ("OK", "NK", "AT", "AN", "GS", "WF", "ST", "")
NUMBERS = ("0", "6", "32", "80", "-1", "99999999999", "fe", "ff", "zz", "03", "0140", "2", "", ":00", ":zz", "1e9")


@dataclass(slots=True)
class Tally:
    """What an episode, or many, came to."""

    hostile: int = 0
    commands: int = 0
    worst_lag_s: float = 0.0
    """Longest time above the limit after it was lowered."""
    charging_s: float = 0.0
    """Time with the relay closed: without it nothing was proven."""
    acknowledgements: int = 0
    worst_acknowledgement_s: float = 0.0
    """Longest time above the limit around `$SY 165`."""

    def text(self) -> str:
        """For the log of a campaign."""
        return (
            f"{self.hostile} hostile lines, {self.commands} commands, {self.charging_s:.0f} s of charging; a lower limit took {self.worst_lag_s:.2f} s at the "
            f"most, {self.acknowledgements} acknowledgements were {self.worst_acknowledgement_s:.2f} s above the limit"
        )


@dataclass(slots=True)
class Episode:
    """One seed."""

    seed: int
    tally: Tally
    dice: random.Random = field(init=False)
    board: RapiBoard = field(init=False)
    link: RapiLink = field(default_factory=RapiLink)
    now_s: float = 50.0
    words: tuple[str, ...] = WORDS
    rate: float = 0.3
    """Hostile lines in each step."""
    limit_a: float = 0.0
    permitted: list[tuple[float, float]] = field(default_factory=list)
    """Every limit with the time until which it was the newest."""
    over_since_s: float | None = None
    acknowledged_s: float = -1e9
    booted_s: float = -1e9

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.board = RapiBoard(now_s=self.now_s, post_s=self.dice.choice((0.5, 3.0)), car=C)
        self.rate = self.dice.choice((0.05, 0.3, 1.5))
        # A line that says the board has started again ends the link, so most lies leave that out.
        self.words = (*WORDS, "AB") if self.dice.random() < 0.3 else WORDS
        self.board.is_boot_locked = self.dice.random() < 0.2

    def play(self, lines: int) -> None:
        """Send that many hostile lines."""
        until = self.tally.hostile + lines
        boots = self.board.boots
        while self.tally.hostile < until:
            self._decide()
            self.now_s += STEP_S
            data = self._spoil(self.board.advance(self.now_s))
            if self.board.boots != boots or self.board.now_s < self.board._deaf_until_s:
                boots, self.booted_s = self.board.boots, self.now_s
            self.link.receive(data, self.now_s)
            if self.now_s >= self.link.next_deadline_s():
                self.link.advance(self.now_s)
            self._judge_commands(out := self.link.outgoing())
            self.board.receive(self._lose(out))
            self._judge_pilot()

    # --- what happens -----------------------------------------------------------------------------------------

    def _decide(self) -> None:
        chance = self.dice.random()
        if chance < 0.01:
            limit_a = self.dice.choice((0.0, 5.9, 6.0, 10.0, 13.7, 16.0, 32.0))
            output = self.dice.choice((PilotOutput.X2, PilotOutput.X2, PilotOutput.X2, PilotOutput.X1, PilotOutput.F))
            permit = self.dice.random() < 0.8
            may_offer = output is PilotOutput.X2 and permit and limit_a >= 6.0
            self.permitted.append((self.now_s, self.limit_a))
            self.limit_a = float(int(limit_a)) if may_offer else 0.0
            self.link.command(PilotCommand(1, output, Amps(limit_a), permit=permit), self.now_s)
        elif chance < 0.015:
            self.board.car = self.dice.choice((1, B, C, C, C))
        elif chance < 0.0155:
            self.board.restart()
        elif chance < 0.017:
            self.link.clear_latch(1)

    def _spoil(self, data: bytes) -> bytes:
        """Damage what the board says, and say more in its name."""
        if data and self.dice.random() < 0.05:
            at = self.dice.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ (1 << self.dice.randrange(8))]) + data[at + 1 :]
        count = int(self.rate) + (self.dice.random() < self.rate % 1.0)
        for _ in range(count):
            self.tally.hostile += 1
            at = self.dice.choice((0, len(data), self.dice.randint(0, len(data))))
            data = data[:at] + self._lie() + data[at:]
        return data

    def _lie(self) -> bytes:
        kind = self.dice.random()
        if kind < 0.25:
            return self.dice.randbytes(self.dice.randrange(60))
        if kind < 0.35:
            return b"$" + b"9" * self.dice.randrange(300) + b"\r"
        if kind < 0.5:
            state = self.dice.choice(("00", "01", "02", "03", "fe", "ff", "3", "42"))
            return _checked(f"$AT {state} {state} {self.dice.randrange(81)} {self.dice.choice(('0000', '0140'))}")
        words = [self.dice.choice(self.words), *(self.dice.choice(NUMBERS) for _ in range(self.dice.randrange(6)))]
        if self.dice.random() < 0.3:
            words.append(f":{self.dice.randrange(256):02X}")
        line = _checked("$" + " ".join(words))
        return line if self.dice.random() < 0.8 else line[: self.dice.randrange(len(line))]

    def _lose(self, data: bytes) -> bytes:
        chance = self.dice.random()
        if data and chance < 0.02:
            return b""
        if data and chance < 0.04:
            at = self.dice.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << self.dice.randrange(8))]) + data[at + 1 :]
        # A spell without pulses, so that the board misses its heartbeat.
        return b"" if b"$SY :" in data and int(self.now_s) % 40 < 7 else data

    # --- the judge --------------------------------------------------------------------------------------------

    def _judge_commands(self, data: bytes) -> None:
        for line in data.split(b"\r")[:-1]:
            self.tally.commands += 1
            text, _, check = line.partition(b"^")
            value = 0
            for byte in text:
                value ^= byte
            assert int(check, 16) == value, line
            assert len(line) < 32, line
            words = text.decode("ascii")[1:].split()
            assert words.pop().startswith(":"), line
            self._judge_words(words)

    def _judge_words(self, words: list[str]) -> None:
        assert words[0] in {"FS", "FD", "FE", "SC", "SY", "SB", "S4", "GS", "GC", "GP", "GY", "GE", "GI", "GV"}, words
        if words[0] == "SC":
            assert len(words) == 3, words
            assert words[2] == "V", words
            assert 6 <= int(words[1]) <= max(6.0, self.limit_a), (words, self.limit_a)
        elif words[0] == "SY":
            assert words[1:] in ([], ["165"], ["5", "6"]), words
            if words[1:] == ["165"]:
                self.tally.acknowledgements += 1
                self.acknowledged_s = self.now_s
        elif words[0] == "FE":
            assert self.limit_a >= 6.0

    def _judge_pilot(self) -> None:
        offered_a = self.board.offered_a or 0
        self.tally.charging_s += STEP_S if self.board.relay_closed else 0.0
        if offered_a <= self.limit_a or self.now_s < self.booted_s + BOOT_S:
            self.over_since_s = None
            return
        if self.over_since_s is None:
            self.over_since_s = self.now_s
        over_s = self.now_s - self.over_since_s
        lowered_s = self.permitted[-1][0] if self.permitted else 0.0
        if self.acknowledged_s >= self.over_since_s - 1.0 and self.acknowledged_s > lowered_s:
            self.tally.worst_acknowledgement_s = max(self.tally.worst_acknowledgement_s, over_s)
        else:
            self.tally.worst_lag_s = max(self.tally.worst_lag_s, over_s)
        assert over_s <= SETTLE_S, f"seed {self.seed}: {offered_a} A for {over_s:.2f} s over {self.limit_a} A"
