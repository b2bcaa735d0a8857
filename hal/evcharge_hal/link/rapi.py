"""Driver of RAPI, the link of OpenEVSE boards, which close their own relay. Sans-I/O and without a clock.

Greeting: stop the board, put it to 6 A, then ask what it can do. Up: its state five times a second, the heartbeat and
the capacity every second. Silence of 3 s, a restart or a refused command leads back to greeting, and a permit given
before is forgotten.

What a board does when *we* fall silent is its heartbeat's: after 5 s it lowers to 6 A and goes on. It never stops.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from evcharge_hal.contract.errors import InvalidFieldError
from evcharge_hal.contract.pilot import LinkDown, LinkEvent, LinkIncompatible, LinkNoticed, LinkUp, PilotCommand
from evcharge_hal.link import deadlines
from evcharge_hal.link.notices import NoticeLimiter
from evcharge_hal.link.rapi_exchange import Exchange, Pending
from evcharge_hal.link.rapi_frames import (
    LineDecoder,
    RapiBoot,
    RapiLine,
    RapiNoise,
    RapiOther,
    RapiReply,
    RapiState,
    read_state,
)
from evcharge_hal.link.rapi_greeting import CAPACITY, NO_SEQUENCE, STATE, TEMPERATURE, Greeting
from evcharge_hal.link.rapi_record import BoardRecord, read_numbers
from evcharge_hal.link.rapi_setpoint import (
    ACKNOWLEDGE,
    DISABLE,
    NOTHING,
    SLEEP,
    STOPS,
    Aim,
    Wish,
    next_commands,
    read_wish,
)
from evcharge_hal.link.rapi_view import MIN_LIMIT_A, read_temperature_c

SILENCE_S = 3.0
"""Without a word the link is down. A board that tests its sensor before closing says nothing for more than 1 s."""
GREETING_PERIOD_S = 1.0
"""Between two tries. A board is deaf for 3 to 8 s after power-on, and then answers all that its buffer held."""
HEARTBEAT_S = (3, 60)
"""`interval * 1000` has 16 bits on the board: 70 s expires after 4.5 s. 0 would switch the heartbeat off, and 1 s
expires in each sensor test, for which the board stands still."""
ARM_APART_S = 60.0
"""Least time between two settings of the heartbeat: the board writes them to its EEPROM."""
MAX_WITHOUT_ID = 3
RESET = "FR"
PULSE = "SY"
POLL_S: Mapping[str, float] = {PULSE: 1.0, STATE: 0.2, CAPACITY: 1.0, TEMPERATURE: 5.0}
"""In the order of importance. Only `$SY` feeds the heartbeat; nothing else that is said does."""
_SHOWN_LENGTH = 40
_FUNCTIONS = ("F", "S4", "SB")


class RapiLink:
    """A `PilotLink` for the one connector of an OpenEVSE board.

    A set-point given before `LinkUp` is remembered and carried out after it. `LinkDown` takes the permit out of what
    is remembered. The limit is rounded down to whole amperes. X2 without a permit cannot be said: it is a stop.
    """

    def __init__(self, heartbeat_s: int = 5) -> None:
        """`heartbeat_s`: the board lowers to 6 A after so long without a pulse.

        Raises:
            InvalidFieldError: an interval the board would get wrong.
        """
        shortest, longest = HEARTBEAT_S
        if not shortest <= heartbeat_s <= longest:
            raise InvalidFieldError("heartbeat_s", heartbeat_s, f"a whole number from {shortest} to {longest} s")
        self._arm = f"SY {heartbeat_s} {MIN_LIMIT_A}"
        self._armed_s = -math.inf
        self._pulse_s = min(POLL_S[PULSE], heartbeat_s / 4.0)
        self._decoder = LineDecoder()
        self._exchange = Exchange()
        self._record = BoardRecord((heartbeat_s, MIN_LIMIT_A))
        self._greeting: Greeting | None = Greeting(self._arm)
        """None: up."""
        self._greet_due_s = 0.0
        self._is_incompatible = False
        self._without_id = 0
        self._now_s = 0.0
        self._heard_s = -math.inf
        self._due_s: dict[str, float] = {}
        self._boot_count: int | None = None
        self._greeted_boot: int | None = None
        self._command: PilotCommand | None = None
        self._wish: Wish = NOTHING
        self._is_stop_due = False
        """A stop that the board has not confirmed yet."""
        self._is_reset_due = False
        self._notices = NoticeLimiter()
        self._noise = NoticeLimiter(burst=1, window_s=deadlines.NOISE_PERIOD_S)

    # --- the port ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> Sequence[LinkEvent]:
        """Take bytes as they arrive; see `PilotLink.receive`."""
        # What waited while the host stood still is as old as that, and is no sign of a link that lived.
        waited_s = max(0.0, now_s - self._now_s)
        self._now_s = now_s
        events = self._notice_silence(now_s)
        for line in self._decoder.feed(data):
            events += self._on_line(line, waited_s, now_s)
        self._send_due(now_s)
        return events

    def advance(self, now_s: float) -> Sequence[LinkEvent]:
        """Let time pass; see `PilotLink.advance`."""
        self._now_s = now_s
        events = self._notice_silence(now_s)
        for body in self._exchange.drop_late(now_s):
            self._doubt(body)
            if self._greeting is not None:
                self._begin_greeting(now_s + GREETING_PERIOD_S)
        self._send_due(now_s)
        return events

    def command(self, command: PilotCommand, now_s: float) -> None:
        """Replace the set-point; see `PilotLink.command`. A stop waits for no answer that is under way.

        Raises:
            InvalidFieldError: the board has connector 1 and no other.
        """
        _check_connector(command.connector)
        self._command = command
        self._aim_at(read_wish(command))
        self._now_s = now_s
        self._send_due(now_s)

    def clear_latch(self, connector: int) -> None:
        """Forget faults whose cause has gone; they are also forgotten when the car is unplugged.

        Raises:
            InvalidFieldError: the board has connector 1 and no other.
        """
        _check_connector(connector)
        self._record.clear_latch()

    def reset(self) -> None:
        """Ask for a restart, once the relay is open; see `PilotLink.reset`."""
        if self._greeting is None:
            self._revoke()
            self._is_reset_due = True
            self._send_due(self._now_s)

    def outgoing(self) -> bytes:
        """Bytes to write now; see `PilotLink.outgoing`."""
        return self._exchange.take()

    def next_deadline_s(self) -> float:
        """When `advance` wants to be called at the latest; 0 before the first call."""
        if self._greeting is not None:
            return self._greet_due_s if self._exchange.is_idle else self._exchange.due_s()
        dues_s = [self._heard_s + SILENCE_S, self._exchange.due_s()]
        if self._exchange.is_idle:
            dues_s += self._due_s.values()
        dues_s += [self._exchange.pace_due_s(body) for body in self._wanted() if self._may_send(body)]
        return min(dues_s)

    # --- sending ----------------------------------------------------------------------------------------------

    def _send_due(self, now_s: float) -> None:
        if self._greeting is not None:
            if self._exchange.is_idle and now_s >= self._greet_due_s:
                self._exchange.send(self._greeting.step, now_s)
            return
        wanted = self._wanted()
        if wanted and self._may_send(wanted[0]) and all(self._exchange.is_paced(body, now_s) for body in wanted):
            for body in wanted:
                self._exchange.send(body, now_s)
            if wanted[0] == RESET:
                # Once: a second one would wait in the board's buffer for the end of the boot, and start it again.
                self._is_reset_due = False
        elif self._exchange.is_idle:
            self._poll(now_s)

    def _poll(self, now_s: float) -> None:
        if not self._record.is_armed and not self._record.is_missed and now_s >= self._armed_s + ARM_APART_S:
            self._armed_s = now_s
            self._exchange.send(self._arm, now_s)
            return
        for body, due_s in self._due_s.items():
            if now_s >= due_s:
                self._due_s[body] = now_s + (self._pulse_s if body == PULSE else POLL_S[body])
                self._exchange.send(body, now_s)
                return

    def _aim_at(self, wish: Wish) -> None:
        """Want something else: what the board said before is no proof that it has followed."""
        if wish == self._wish:
            return
        self._is_stop_due = wish.aim is not Aim.RUN and (self._is_stop_due or self._wish.aim is Aim.RUN)
        self._wish = wish
        self._record.amps = None

    def _wanted(self) -> tuple[str, ...]:
        """Commands that bring the board to where it should be."""
        situation = self._record.situation()
        if situation is None:
            return ()
        if self._is_stop_due:
            # Whatever state an unasked line claims, a stop is said, and is answered under its own id.
            is_hurry = self._wish.aim is Aim.UNAVAILABLE or (
                self._wish.aim is Aim.OPEN and situation.view.is_relay_closed
            )
            return (DISABLE,) if is_hurry else (SLEEP,)
        commands = next_commands(situation, self._wish)
        is_open = not situation.view.is_relay_closed
        return (RESET,) if self._is_reset_due and not commands and is_open else commands

    def _may_send(self, body: str) -> bool:
        """A stop waits for nobody; everything else for the answers to what was asked of the board before."""
        return body in STOPS or all(pending in POLL_S for pending in self._exchange.bodies())

    def _doubt(self, body: str) -> None:
        """A command without an answer: nobody knows whether it was carried out."""
        if body.startswith("SC") or body == ACKNOWLEDGE:
            self._record.amps = None

    # --- going up and down ------------------------------------------------------------------------------------

    def _begin_greeting(self, due_s: float) -> None:
        self._greeting = Greeting(self._arm)
        self._exchange.forget()
        self._greet_due_s = due_s

    def _revoke(self) -> None:
        """A permit given before must not be the first thing said after."""
        if self._command is not None:
            self._command = replace(self._command, permit=False)
        self._aim_at(read_wish(self._command))

    def _go_down(self, reason: str, due_s: float) -> list[LinkEvent]:
        was_up = self._greeting is None
        self._begin_greeting(due_s)
        self._revoke()
        self._is_stop_due = False  # the greeting begins with one
        self._record.lose_sight()
        self._is_reset_due = False
        return [LinkDown(reason)] if was_up else []

    def _notice_silence(self, now_s: float) -> list[LinkEvent]:
        if self._greeting is not None or now_s < self._heard_s + SILENCE_S:
            return []
        return self._go_down(f"no word for {SILENCE_S} s", now_s)

    def _refuse(self, reason: str, now_s: float) -> list[LinkEvent]:
        """Tell once that this board cannot be used; it is stopped and asked again, for it may be exchanged."""
        events = self._go_down(reason, now_s + deadlines.HELLO_PAUSE_IGNORED_S)
        if self._is_incompatible:
            return events
        self._is_incompatible = True
        return [*events, LinkIncompatible(f"the board {reason}")]

    def _go_up(self, greeting: Greeting, now_s: float) -> list[LinkEvent]:
        self._greeting = None
        self._is_incompatible = False
        if self._boot_count is None:
            # A board counts no boots. A number that differs with each process keeps two cars apart.
            self._boot_count = int(now_s * 1000.0) & 0xFFFF_FFFF
        is_restart = self._greeted_boot not in (None, self._boot_count)
        self._greeted_boot = self._boot_count
        self._due_s = dict.fromkeys(POLL_S, now_s)
        if not greeting.has_temperature:
            del self._due_s[TEMPERATURE]
        events: list[LinkEvent] = [LinkUp(greeting.identity(self._boot_count, is_restart=is_restart), is_restart)]
        if names := greeting.tests_off():
            events.append(LinkNoticed("self_test_off", 1, f"switched off on the board: {names}"))
        return events

    # --- receiving --------------------------------------------------------------------------------------------

    def _on_line(self, line: RapiLine, waited_s: float, now_s: float) -> Sequence[LinkEvent]:
        match line:
            case RapiReply():
                return self._on_reply(line, now_s)
            case RapiState():
                if self._greeting is not None:
                    return []
                self._heard_s = now_s
                return self._take_state(line, waited_s, now_s)
            case RapiBoot():
                return self._on_boot(line, now_s)
            case RapiOther():
                return self._notices.admit(LinkNoticed("other_line", None, line.text[:_SHOWN_LENGTH]), now_s)
            case RapiNoise():
                return self._noise.admit(LinkNoticed("noise", None, f"{line.reason}, {line.length} bytes"), now_s)

    def _on_boot(self, line: RapiBoot, now_s: float) -> list[LinkEvent]:
        before = int(now_s * 1000.0) if self._boot_count is None else self._boot_count
        self._boot_count = (before + 1) & 0xFFFF_FFFF
        events = self._go_down(f"the board has started again, firmware {line.firmware[:_SHOWN_LENGTH]}", now_s)
        return [*events, *self._record.restart(line.post_code)]

    def _take_state(self, state: RapiState, age_s: float, now_s: float) -> list[LinkEvent]:
        return self._record.take_state(state, age_s, now_s, self._boot_count or 0)

    def _on_reply(self, reply: RapiReply, now_s: float) -> Sequence[LinkEvent]:
        if reply.sequence is None:
            return self._on_nameless(reply, now_s)
        pending = self._exchange.match(reply)
        if pending is None:
            return self._notices.admit(LinkNoticed("late_reply", None, f"id {reply.sequence:02X}"), now_s)
        self._without_id = 0
        self._heard_s = now_s
        if self._greeting is not None:
            return self._on_greeted(self._greeting, pending, reply, now_s)
        return self._on_answer(pending, reply, now_s)

    def _on_nameless(self, reply: RapiReply, now_s: float) -> Sequence[LinkEvent]:
        """NK: what we said came damaged, so it was not done. OK: somebody else's, or a board of before the ids."""
        if not reply.is_ok:
            only = self._exchange.take_only()
            if only is not None:
                self._is_reset_due = self._is_reset_due or only.body == RESET
            return self._notices.admit(LinkNoticed("damaged_command", None, only.body if only else "unknown"), now_s)
        self._without_id += 1
        if self._greeting is not None and self._without_id >= MAX_WITHOUT_ID:
            self._without_id = 0
            return self._refuse(NO_SEQUENCE, now_s)
        words = " ".join(reply.arguments)[:_SHOWN_LENGTH]
        return self._notices.admit(LinkNoticed("nameless_reply", None, words), now_s)

    def _on_greeted(self, greeting: Greeting, pending: Pending, reply: RapiReply, now_s: float) -> list[LinkEvent]:
        refusal = greeting.take(reply, self._record, now_s)
        if refusal is not None:
            return self._refuse(refusal, now_s)
        self._greet_due_s = now_s
        if not greeting.is_complete:
            return []
        return [*self._go_up(greeting, now_s), *self._on_answer(pending, reply, now_s)]

    def _on_answer(self, pending: Pending, reply: RapiReply, now_s: float) -> list[LinkEvent]:
        word, _, rest = pending.body.partition(" ")
        if word == STATE:
            state = read_state(reply.arguments, is_transition=False) if reply.is_ok else None
            if state is not None:
                return self._take_state(state, max(0.0, now_s - pending.sent_s), now_s)
        elif word == "SC":
            self._record.take_capacity(int(rest.split()[0]), reply, now_s)
            return []
        elif word == CAPACITY:
            numbers = read_numbers(reply)
            if reply.is_ok:
                if len(numbers) > 2:  # noqa: PLR2004 - the third is the present one
                    self._record.doubt_amps(numbers[2])
                return []
        elif word == PULSE:
            return self._record.take_heartbeat(reply)
        elif word == TEMPERATURE and reply.is_ok:
            self._record.temperature_c, self._record.temperature_s = read_temperature_c(reply.arguments), now_s
            return []
        elif word.startswith(_FUNCTIONS):
            self._due_s[STATE] = now_s
            self._is_stop_due = self._is_stop_due and not (word in STOPS and reply.is_ok)
        return [] if reply.is_ok else list(self._notices.admit(LinkNoticed("refused", 1, f"${pending.body}"), now_s))


def _check_connector(number: int) -> None:
    if number != 1:
        raise InvalidFieldError("connector", number, "1, the only one of a RAPI board")
