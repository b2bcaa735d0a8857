"""Frames no central system should send, and a charge point that has to live with them.

Mutated schemas of every action, mutated text, wrong types, depth, length, ids, halves of surrogate pairs. Every answer
is judged by the schemas; a probe after each batch proves that the session lives.
"""

import asyncio
import contextlib
import functools
import json
import logging
import random
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import structlog
from ocpp.v16 import call_result
from ocpp.v16.enums import Action, ClearCacheStatus

from evcharge_agent.core.effects import Answer
from evcharge_agent.core.events import Event, RequestId
from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.ocpp16.charge_point import ChargePoint
from evcharge_agent.ocpp16.core_profile import CoreProfile
from evcharge_agent.ocpp16.envelope import ErrorCode
from evcharge_agent.ocpp16.keys import Configuration, Station
from evcharge_agent.ocpp16.profile import Context, Handler, Reply, RequestRefusedError
from evcharge_agent.ocpp16.security.extended_trigger import ExtendedTriggerProfile
from evcharge_agent.ocpp16.security.profile import SecurityProfile
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.ocpp16.trigger_profile import TriggerProfile
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_keys import ChangeStatus, KeyValue
from evcharge_agent.settings.ocpp_section import Ocpp
from tests.support.schemas import ERROR_CODES, FrameChecker, InvalidFrameError

BATCH = 25
"""Frames between two probes; fewer than may wait in the charge point."""
REST_S = 4.0
"""Virtual time after a batch: the budget of requests is another test's."""
ACTIONS = tuple(action.value for action in Action)
PIECES = (
    *"[]{},:",
    '"',
    "\\",
    "\\u",
    "\\ud800",
    "null",
    "NaN",
    "1e999",
    "9" * 30,
    "-",
    "\x00",
    "é",
    "2",
    "4",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    -(2**63),
    10**19,
    1.5,
    -0.0,
    1e300,
    "",
    "x",
    "x" * 51,
    "x" * 5501,
    "\u0000",
    "\ud83d\ude00",
    "\u2028",
    "../../etc/passwd",
    "$(reboot)",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    "9999-12-31T23:59:60Z",
    [],
    {},
    [[[[]]]],
    {"a": {"b": {}}},
)
ODD_IDS: tuple[Any, ...] = ("", "x" * 36, "x" * 37, None, 7, [], "\u0000", "-1", "é")


class Hostile:
    """A source of frames; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0

    def frames(self, count: int) -> Iterator[str | bytes]:
        """`count` frames."""
        for _ in range(count):
            yield self._frame()

    def _frame(self) -> str | bytes:
        rng = self._random
        kind = rng.random()
        if kind < 0.35:
            return self._from_schema()
        if kind < 0.985:
            return self._mutated_text()
        return rng.choice(
            (
                b"\xff\xfe",
                "[" * rng.randint(1, 5000),
                '[2,"d","Reset",' + '{"a":' * 40 + "1" + "}" * 40 + "]",
                '[2,"o","ClearCache",{"a":"' + "x" * 66_000 + '"}]',
                json.dumps([rng.choice((2, 3, 4, 5, "2", None)), *rng.choices(ODD_VALUES, k=rng.randint(0, 5))]),
            )
        )

    def _from_schema(self) -> str:
        rng = self._random
        self._number += 1
        action = rng.choice(ACTIONS)
        payload = self._value(_schema(action), _schema(action), 0)
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            payload = self._bent(payload)
        kind = 2 if rng.random() < 0.9 else rng.choice((3, 4, 2.0, "2"))
        message_id = f"h{self._number}" if rng.random() < 0.95 else rng.choice(ODD_IDS)
        frame = [kind, message_id, action, payload] if kind != 3 else [kind, message_id, payload]
        return json.dumps(frame)

    def _value(self, schema: Mapping[str, Any], whole: Mapping[str, Any], depth: int) -> Any:
        """A value that fits the schema, mostly."""
        rng = self._random
        if "$ref" in schema:
            schema = whole["definitions"][schema["$ref"].rpartition("/")[2]]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                required = schema.get("required", ())
                return {
                    name: self._value(part, whole, depth + 1)
                    for name, part in schema.get("properties", {}).items()
                    if name in required or rng.random() < 0.5
                }
            case "array":
                return [self._value(schema["items"], whole, depth + 1) for _ in range(rng.randint(1, 2))]
            case "integer":
                return rng.choice((0, 1, 2, 7))
            case "number":
                return rng.choice((0, 16.0, 6.1))
            case "boolean":
                return rng.random() < 0.5
            case _:
                return rng.choice(("x", "CARD1", "HeartbeatInterval", "2026-01-01T00:00:00Z", "30"))

    def _bent(self, value: Any) -> Any:
        """Bend one part of a value."""
        rng = self._random
        if isinstance(value, dict) and value and rng.random() < 0.9:
            name = rng.choice(list(value))
            match rng.randrange(4):
                case 0:
                    return {other: part for other, part in value.items() if other != name}
                case 1:
                    return value | {rng.choice(("vendor", "__class__", name.upper(), "")): rng.choice(ODD_VALUES)}
                case _:
                    return value | {name: self._bent(value[name])}
        if isinstance(value, list) and value and rng.random() < 0.7:
            return [*value, self._bent(value[0])]
        return rng.choice(ODD_VALUES)

    def _mutated_text(self) -> str:
        rng = self._random
        return mutate(rng, self._from_schema()[:400])


def mutate(rng: random.Random, text: str) -> str:
    """Change a few characters."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(4):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + rng.randint(1, 4) :]
            case 2:
                text = (
                    text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0xD800), 0x1F600))) + text[at + 1 :]
                )
            case _:
                text = text[:at] + rng.choice(PIECES) * rng.randint(1, 60) + text[at:]
    return text


class Open(Configuration):
    """A configuration that takes everything."""

    connection = Ocpp()

    def report(self, names: Any = ()) -> tuple[list[KeyValue], list[str]]:
        return [KeyValue(name[:50], is_readonly=False, value="v") for name in names], []

    async def change(self, name: str, text: str) -> ChangeStatus:
        return ChangeStatus.ACCEPTED


class Yes:
    """An inbox behind which everything is accepted, and a line and sources that go nowhere."""

    connectors = (0, 1)
    is_accepted = True

    async def ask(self, build: Any) -> Answer:
        build(RequestId("asked"))
        return Answer(RequestId("asked"), is_accepted=True)

    def post(self, event: Event) -> None:
        pass

    async def nothing(self, *_: object) -> None:
        pass

    ready = call = send_boot = send_heartbeat = send_status = nothing


async def _cleared(_: Mapping[str, Any]) -> Reply:
    return Reply(call_result.ClearCache(status=ClearCacheStatus.accepted))


async def _unsupported(_: Mapping[str, Any]) -> Reply:
    raise RequestRefusedError(ErrorCode.NOT_SUPPORTED, "not here")


class Target:
    """The adapter with the handlers of Core, triggers and security; other actions get as far as their schema."""

    def __init__(self, directory: Path, store: Any) -> None:
        near, self.far = PipeEnd.pair()
        yes: Any = Yes()
        clock = Clock()
        context = Context(yes, Open(), Station("charger", "evcharge", "AC", "1", "1"), clock, yes, lambda: True)
        vault = Vault.open(directory, store, clock, "boot")
        profiles = (
            CoreProfile(context),
            SecurityProfile(context, vault),
            TriggerProfile(yes, yes.post, {}),
            ExtendedTriggerProfile(yes, yes.post, {}),
        )
        own: dict[str, Handler] = {name: handler for one in profiles for name, handler in one.handlers.items()}
        handlers: dict[str, Handler] = dict.fromkeys(ACTIONS, _unsupported) | own | {Action.clear_cache: _cleared}
        self.charge_point = ChargePoint(
            "charger",
            near,
            handlers,
            call_timeout_s=lambda: 30.0,
            may_answer=lambda: True,
            on_late_result=lambda *_: None,
        )
        self.running = asyncio.create_task(self.charge_point.run())
        self.answers = 0
        self._probes = 0

    async def survive(self, frames: list[str | bytes]) -> None:
        """Send a batch, then a request that must still be answered; judge every answer."""
        for frame in frames:
            await self.far.send(frame)
        self._probes += 1
        probe = f"probe-{self._probes}"
        await self.far.send(json.dumps([2, probe, "ClearCache", {}]))
        while True:
            async with asyncio.timeout(60.0):
                text = str(await self.far.recv())
            answer = json.loads(text)
            if answer[1] == probe:
                assert answer == [3, probe, {"status": "Accepted"}], (frames, answer)
                break
            self.answers += 1
            _judge(frames, answer, text)
        assert not self.running.done()
        await asyncio.sleep(REST_S)

    async def end(self) -> None:
        """Let the session end."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


def _judge(frames: list[str | bytes], answer: list[Any], text: str) -> None:
    """A CALLERROR in 1.6 spelling, or a result that fits its request's schema."""
    if answer[0] == 4:
        assert len(answer) == 5, text
        assert answer[2] in ERROR_CODES, text
        assert len(answer[1]) <= 36, text
        assert len(answer[3]) <= 255, text
        return
    for frame in frames:
        # Several frames may have borne the same id: the answer must fit one of them.
        with contextlib.suppress(ValueError, TypeError, IndexError, RecursionError, InvalidFrameError):
            request = json.loads(frame)
            if request[1] == answer[1]:
                checker = FrameChecker()
                checker.check(json.dumps(request), is_judged=False)
                checker.check(text)
                return
    raise AssertionError(f"an answer to nothing, or not a good one: {text}")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Write no logs meanwhile: a million lines cost more than what they tell of."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.reset_defaults()


@functools.cache
def _schema(action: str) -> dict[str, Any]:
    path = resources.files("ocpp") / "v16" / "schemas" / f"{action}.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    return schema
