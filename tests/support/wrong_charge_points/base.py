"""A right charge point, as small as it can be, with handles by which a wrong one goes wrong.

It shares nothing with the product: it is the counter-weight by which the strict central system is weighed.
`course` (in this package) is the life it leads.
"""

import asyncio
import contextlib
import itertools
import json
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificates import ec_key
from tests.support.strict.central import StrictCentral, basic
from tests.support.strict.line import LineClosedError, Pipe
from tests.support.strict.trace import Opened, Payload, to_stamp

IDENTITY = "CP 1"
PASSWORD = "0123456789abcdef"  # noqa: S105 - of nobody
REGISTER = "Energy.Active.Import.Register"
STEP_WH = 10
DAY_S = 86_400.0
RECONNECT_S = 2.0
CALL_TIMEOUT_S = 30.0
TLS_FROM_PROFILE = 2

Answer = tuple[Payload | str, Callable[[], Coroutine[Any, Any, None]] | None]
"""Result, or error code; and what is done after it has been sent."""

Handler = Callable[["ChargePoint", Payload], Answer]


class ChargePoint:
    """Two connectors. Times in seconds of the loop; the clock is the central system's."""

    reconnect_s = RECONNECT_S
    beat_factor = 1.0
    retry_factor = 1.0
    timeout_factor = 1.0
    boot_factor = 1.0
    attempts_more = 0
    expires = True
    expiry_offset_s = 0.0
    sample_offset_s = 0.0
    samples_left_out: tuple[int, ...] = ()
    boundary_offset_s = 0.0
    boundaries_left_out = 0
    """How many boundaries after the third are left out."""
    boots_on_reconnect = False
    statuses_after_boot: tuple[int, ...] = (0, 1, 2)
    path = "/ocpp/CP%201"
    subprotocols = ("ocpp1.6",)
    waits_its_turn = True
    firmware_statuses: tuple[str, ...] = ("Downloading", "Downloaded", "Installing", "Installed")
    upload_statuses: tuple[str, ...] = ("Uploading", "Uploaded")
    tells_its_start = True
    request_id_offset = 0

    def __init__(self, central: StrictCentral, handlers: "Mapping[str, Handler]") -> None:
        self.central = central
        self.handlers = handlers
        self.keys = {**central.expectations.keys, "SecurityProfile": "1"}
        self.passwords = [PASSWORD.encode()]
        self.accepted = asyncio.Event()
        self.is_booted = False
        self.numbers = itertools.count(1)
        self.register_wh = {1: 1000, 2: 5000}
        self.states: dict[int, str] = dict.fromkeys(range(3), "Available")
        self.open: dict[int, Any] = {}
        self.stopping: dict[int, asyncio.Future[str]] = {}
        self.out: set[int] = set()
        self.list_version = 0
        self.listed: set[str] = set()
        self.reserved: dict[int, Payload] = {}
        self.profiles: dict[int, Payload] = {}
        """SetChargingProfile by the profile's id."""
        self.pipe: Pipe | None = None
        self.turn = asyncio.Lock()
        self.answers: dict[str, asyncio.Future[Payload | str]] = {}
        self.tasks: list[asyncio.Task[Any]] = []
        self.quiet_since_s = 0.0
        self.is_silent = False

    # --- handles ------------------------------------------------------------------------------------------

    def spoil(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Change what is sent."""
        return payload

    def reply(self, action: str, payload: Payload, right: Payload | str) -> Payload | str:
        """Change what is answered; a text is an error code."""
        return right

    def text(self, text: str) -> str:
        """Change a frame."""
        return text

    def new_id(self, action: str) -> str:
        """Name a call."""
        return f"{action}-{next(self.numbers)}"

    async def before_answer(self, action: str, payload: Payload) -> None:
        """Do something before a request is answered."""

    # --- the line -----------------------------------------------------------------------------------------

    async def switch_on(self) -> None:
        """Start; returns when the line is there."""
        self.spawn(self.keep_line())
        self.spawn(self.beat())
        self.spawn(self.keep_clock())
        await asyncio.sleep(0.1)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def keep_line(self) -> None:
        for attempt in itertools.count():
            near, far = Pipe.pair()
            opened = Opened(0.0, 0, self.path, self.authorization(attempt), self.subprotocols, self.is_tls())
            if self.central.accept(far, opened):
                self.pipe = near
                self.quiet_since_s = self.now_s()
                if not self.is_booted or self.boots_on_reconnect:
                    self.spawn(self.register())
                await self.receive(near)
                self.pipe = None
            if self.is_silent:
                return
            await asyncio.sleep(self.reconnect_s)

    def is_tls(self) -> bool:
        """What the profile asks for."""
        return int(self.keys["SecurityProfile"]) >= TLS_FROM_PROFILE

    def new_key(self) -> ec.EllipticCurvePrivateKey:
        """For a certificate."""
        return ec_key()

    def operator(self) -> str:
        """Whose charge point this is."""
        return self.keys["CpoName"]

    def authorization(self, _attempt: int) -> str | None:
        """The newest password that was not refused."""
        good = self.central.passwords.get(IDENTITY)
        password = self.passwords[-1] if good in (None, self.passwords[-1]) else self.passwords[0]
        return basic(IDENTITY, password)

    async def receive(self, pipe: Pipe) -> None:
        while True:
            try:
                frame = json.loads(await pipe.recv())
            except LineClosedError:
                for future in self.answers.values():
                    if not future.done():
                        future.set_result("closed")
                return
            if frame[0] == 2:
                self.spawn(self.answer(frame[1], frame[2], frame[3]))
            elif frame[1] in self.answers and not self.answers[frame[1]].done():
                self.answers[frame[1]].set_result(frame[2])

    async def send(self, frame: list[Any]) -> None:
        if self.pipe is not None:
            with contextlib.suppress(LineClosedError):
                await self.pipe.send(self.text(json.dumps(frame)))

    async def call(self, action: str, id_: str | None = None, **payload: Any) -> Payload | str:
        """One call; the result, or why there is none."""
        async with self.turn if self.waits_its_turn else contextlib.nullcontext():
            if self.pipe is None:
                return "closed"
            name = id_ or self.new_id(action)
            self.answers[name] = asyncio.get_running_loop().create_future()
            await self.send([2, name, action, self.spoil(action, payload)])
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    answer = await self.answers[name]
            except TimeoutError:
                return "timeout"
            self.quiet_since_s = self.now_s()
            return answer

    async def deliver(self, action: str, **payload: Any) -> Payload | str:
        """A transaction message, until it is taken or given up."""
        id_ = self.new_id(action)
        attempts = int(self.keys["TransactionMessageAttempts"]) + self.attempts_more
        answer: Payload | str = ""
        for send in range(1, attempts + 1):
            answer = await self.call(action, id_, **payload)
            if not isinstance(answer, str):
                break
            await asyncio.sleep(float(self.keys["TransactionMessageRetryInterval"]) * send * self.retry_factor)
        return answer

    # --- registering --------------------------------------------------------------------------------------

    async def register(self) -> None:
        """BootNotification until it is accepted, then all statuses."""
        self.is_booted = True
        while True:
            answer = await self.call("BootNotification", chargePointVendor="V", chargePointModel="M")
            if isinstance(answer, str):
                return
            if answer["status"] == "Accepted":
                break
            self.is_silent = answer["status"] == "Rejected"
            await self.while_not_accepted(answer["status"])
            await asyncio.sleep(answer["interval"] * self.boot_factor)
            self.is_silent = False
        self.keys["HeartbeatInterval"] = str(answer["interval"])
        self.accepted.set()
        for connector in self.statuses_after_boot:
            await self.tell(connector, self.states[connector], is_forced=True)
        if self.tells_its_start:
            await self.tell_start()

    async def tell_start(self) -> None:
        await self.call("SecurityEventNotification", type="StartupOfTheDevice", timestamp=self.stamp())

    async def while_not_accepted(self, status: str) -> None:
        """Do nothing."""

    async def beat(self) -> None:
        while True:
            await self.accepted.wait()
            due_s = self.quiet_since_s + float(self.keys["HeartbeatInterval"]) * self.beat_factor
            if self.now_s() >= due_s and self.pipe is not None:
                await self.call("Heartbeat")
            await asyncio.sleep(max(0.25, due_s - self.now_s()))

    # --- charging -----------------------------------------------------------------------------------------

    async def tell(self, connector: int, state: str, error: str = "NoError", *, is_forced: bool = False) -> None:
        if state == self.states[connector] and not is_forced:
            return
        self.states[connector] = state
        await self.call(
            "StatusNotification", connectorId=connector, status=state, errorCode=error, timestamp=self.stamp()
        )

    async def swipe(self, id_tag: str, connector: int = 1) -> bool:
        """Hold a card to the reader; True when it may charge."""
        await self.tell(connector, "Preparing")
        if id_tag in self.listed and self.keys["LocalPreAuthorize"] == "true":
            return True
        answer = await self.call("Authorize", idTag=id_tag)
        return not isinstance(answer, str) and answer["idTagInfo"]["status"] == "Accepted"

    async def charge(self, id_tag: str, connector: int = 1, for_s: float = 14.0) -> None:
        """A transaction from start to end; something else than time may end it."""
        self.stopping[connector] = asyncio.get_running_loop().create_future()
        start = {"connectorId": connector, "idTag": id_tag, "meterStart": self.register_wh[connector]}
        began_s = self.now_s()
        if connector in self.reserved:
            start["reservationId"] = self.reserved.pop(connector)["reservationId"]
        answer = await self.deliver("StartTransaction", **start, timestamp=self.stamp())
        if isinstance(answer, str):
            return
        self.open[connector] = number = answer["transactionId"]
        reason, samples = "Local", self.now_s()
        if answer["idTagInfo"]["status"] != "Accepted" and self.keys["StopTransactionOnInvalidId"] == "true":
            reason = "DeAuthorized"
        else:
            await self.tell(connector, "Charging")
            sampling = asyncio.create_task(self.sample(connector, number, began_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.1, samples + for_s - self.now_s())):
                    reason = await asyncio.shield(self.stopping[connector])
            sampling.cancel()
        await self.stop(connector, number, reason, id_tag)

    async def sample(self, connector: int, number: int, began_s: float) -> None:
        interval_s = float(self.keys["MeterValueSampleInterval"])
        for n in itertools.count(1):
            due_s = began_s + n * interval_s
            if due_s <= self.now_s() - 1.0:
                continue
            await asyncio.sleep(due_s + self.sample_offset_s - self.now_s())
            if n not in self.samples_left_out:
                await self.deliver(
                    "MeterValues",
                    connectorId=connector,
                    transactionId=number,
                    meterValue=[self.value(connector, "Sample.Periodic", self.stamp())],
                )

    async def stop(self, connector: int, number: int, reason: str, id_tag: str) -> None:
        payload: dict[str, Any] = {"transactionId": number, "meterStop": self.register_wh[connector]}
        if reason == "Local":
            payload["idTag"] = id_tag
        del self.open[connector]
        await self.deliver("StopTransaction", **payload, reason=reason, timestamp=self.stamp())
        await self.tell(connector, "Finishing")
        await asyncio.sleep(0.5)
        await self.tell(connector, "Unavailable" if connector in self.out else "Available")

    def value(self, connector: int, context: str, stamp: str) -> dict[str, Any]:
        if connector in self.open:
            self.register_wh[connector] += STEP_WH
        sampled = {"value": str(self.register_wh[connector]), "context": context, "measurand": REGISTER, "unit": "Wh"}
        return {"timestamp": stamp, "sampledValue": [sampled]}

    async def keep_clock(self) -> None:
        """Clock-aligned values of both connectors."""
        count = 0
        while True:
            interval_s = float(self.keys["ClockAlignedDataInterval"])
            if interval_s == 0 or not self.accepted.is_set():
                await asyncio.sleep(0.25)
                continue
            midnight_s = self.central.utc_s() // DAY_S * DAY_S
            past_s = self.central.utc_s() - midnight_s
            next_s = midnight_s + (math.floor(past_s / interval_s + 1e-6) + 1) * interval_s
            await asyncio.sleep(next_s - self.central.utc_s())
            if float(self.keys["ClockAlignedDataInterval"]) != interval_s:
                continue
            count += 1
            if 3 <= count < 3 + self.boundaries_left_out:
                continue
            for connector in (1, 2):
                value = self.value(connector, "Sample.Clock", to_stamp(next_s + self.boundary_offset_s))
                number = {"transactionId": self.open[connector]} if connector in self.open else {}
                await self.call("MeterValues", connectorId=connector, **number, meterValue=[value])

    # --- being asked --------------------------------------------------------------------------------------

    async def answer(self, id_: str, action: str, payload: Payload) -> None:
        if self.is_silent:
            return
        await self.before_answer(action, payload)
        right, then = await self.handle(action, payload)
        result = self.reply(action, payload, right)
        await self.send([4, id_, result, "", {}] if isinstance(result, str) else [3, id_, result])
        if then is not None:
            await then()

    async def handle(self, action: str, payload: Payload) -> Answer:
        handler = self.handlers.get(action)
        return ("NotImplemented", None) if handler is None else handler(self, payload)

    # --- clocks -------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def stamp(self) -> str:
        return to_stamp(self.central.utc_s())
