"""An OpenEVSE board as far as RAPI shows it, written from the protocol's facts; shares no code with the driver.

Bytes in, bytes out, and a car to plug in. Time is passed in and moves in ticks of the board's main loop. The relay's
times are those seen on the real firmware in a processor simulator (1.35 s from C to closed, 0.28 s to open in B, 0.38 s
after unplugging, 0.33 s after the diode is lost); the receive buffer, the debounce times and the order of things are
the firmware's. What it is *not*: a measurement of a real board.
"""

from collections import deque
from dataclasses import dataclass, field

TICK_S = 0.01
LINE_LENGTH, MAX_TOKENS, RX_BUFFER = 32, 10, 64
A, B, C, D, DIODE, GFCI, NO_GROUND, STUCK, GFI_TEST, HOT, OVER_CURRENT, NOT_CLOSED = (
    *range(1, 0x0C),
    0x0E,
)
UNKNOWN, SLEEPING, DISABLED = 0x00, 0xFE, 0xFF
HARD_FAULT, AUTH_LOCK, RELAY, GFI_TRIPPED, CONNECTED, BOOT_LOCK = 0x0002, 0x0008, 0x0040, 0x0080, 0x0100, 0x4000
CLOSE_S, SELF_TEST_S = 1.35, 1.0
OPEN_IN_B_S, OPEN_IN_A_S, OPEN_DIODE_S, SLEEP_OPEN_S = 0.28, 0.38, 0.33, 3.0
DEBOUNCE_S, DEBOUNCE_A_S = 0.25, 0.025
MAGIC = 165


@dataclass(slots=True)
class Eeprom:
    """What survives a restart, and how often it was written."""

    capacity_a: int = 32
    heartbeat_s: int = 0
    heartbeat_a: int = 0
    writes: list[str] = field(default_factory=list)

    def write(self, name: str, value: int) -> None:
        if getattr(self, name) != value:
            self.writes.append(f"{name}={value}")
        setattr(self, name, value)


@dataclass(slots=True)
class RapiBoard:
    """One board, one car."""

    now_s: float = 0.0
    post_s: float = 4.0
    """Deaf for so long after power-on; 3 to 8 s."""
    has_heartbeat: bool = True
    has_ids: bool = True
    has_temperature: bool = True
    is_boot_locked: bool = False
    is_hot: bool = False
    """Over-temperature: the capacity may not be raised."""
    settings: int = 0x0001
    lowest_a: int = 6
    line_s: float = 0.02
    """One command is worked off in this time."""
    eeprom: Eeprom = field(default_factory=Eeprom)
    # The car
    car: int = A
    is_drawing: bool = True
    """Draws current while the relay is closed; one that does not is let go of at once when put to sleep."""
    reacts_s: float = 1.0
    """From steady +12 V to letting go; infinite: never."""
    # What the board does
    state: int = UNKNOWN
    flags: int = 0
    capacity_a: int = 0
    missed: int = 0
    is_gfi_tripped: bool = False
    is_relay_stuck: bool = False
    is_ground_missing: bool = False
    has_diode: bool = True
    gfi_test_passes: bool = True
    boots: int = 0
    commands: list[str] = field(default_factory=list)
    relay_changes: list[tuple[float, bool]] = field(default_factory=list)
    _rx: deque[int] = field(default_factory=deque)
    _lost: int = 0
    _line: bytearray | None = None
    _out: bytearray = field(default_factory=bytearray)
    _busy_until_s: float = 0.0
    _deaf_until_s: float = 0.0
    _boot_code: int = 0
    _seen: int = UNKNOWN
    _seen_s: float = 0.0
    _pilot_told: int = UNKNOWN
    """Not kept up while it sleeps."""
    _steady_s: float | None = None
    _slept_s: float = 0.0
    _pulse_s: float = 0.0
    _closing_s: float | None = None
    _told: tuple[int, int, int, int] | None = None
    _is_booting: bool = True

    def __post_init__(self) -> None:
        self.restart()

    # --- what a test does -------------------------------------------------------------------------------------

    def restart(self, post_code: int = 0) -> None:
        """Power-on or watchdog: everything volatile is gone."""
        self.boots += 1
        self._set_relay(False)
        self.state, self.flags, self.missed = UNKNOWN, BOOT_LOCK if self.is_boot_locked else 0, 0
        self.capacity_a = self.eeprom.capacity_a
        self._boot_code, self._is_booting = post_code, True
        self._deaf_until_s = self._busy_until_s = self.now_s + self.post_s
        self._line, self._told, self._closing_s, self._steady_s = None, None, None, None
        self._out += b"\nrelayCloseMs: 100\rrelayHoldPwm: 75\r\n"

    def cool_down(self) -> None:
        """The hot spell is over: the board goes to its maximum by itself."""
        self.is_hot = False
        self.capacity_a = self.eeprom.capacity_a

    def say(self, data: bytes) -> None:
        """Put bytes on the line, whatever they are."""
        self._out += data

    def say_checked(self, text: str) -> None:
        """Put a line with its check on the line."""
        self._out += _checked(text)

    @property
    def relay_closed(self) -> bool:
        """Energy may flow."""
        return bool(self.flags & RELAY) or self.is_relay_stuck

    @property
    def offered_a(self) -> int | None:
        """What the car reads from the pilot; None without PWM."""
        is_open = self.state in (B, C) and not self.flags & (AUTH_LOCK | BOOT_LOCK)
        return self.capacity_a if is_open else None

    # --- bytes and time ---------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        for byte in data:
            if len(self._rx) >= RX_BUFFER:
                self._lost += 1
            else:
                self._rx.append(byte)

    def advance(self, now_s: float) -> bytes:
        """Let time pass; returns what the board says meanwhile."""
        while self.now_s + TICK_S <= now_s:
            self.now_s += TICK_S
            self._tick()
        data = bytes(self._out)
        self._out.clear()
        return data

    def _tick(self) -> None:
        if self.is_gfi_tripped and self.state not in (GFCI, SLEEPING, DISABLED, UNKNOWN):
            # In the interrupt: before anything else, and also while the loop is held up.
            self._set_relay(False)
            self.flags |= GFI_TRIPPED
            self.state = GFCI
        if self.now_s < self._busy_until_s:
            return
        if self._is_booting:
            self._finish_boot()
        self._watch_car()
        self._watch_heartbeat()
        self._work_off_line()
        self._tell_state()

    def _finish_boot(self) -> None:
        self._is_booting = False
        self._pulse_s = self.now_s
        self.state = self._boot_code or UNKNOWN
        self._seen = UNKNOWN
        self.say_checked(f"$AB {self._boot_code:02x} 8.2.1")

    # --- the car ----------------------------------------------------------------------------------------------

    def _pilot(self) -> int:
        """What the pin sees, before debouncing."""
        is_steady = self.state == SLEEPING
        if self.car == C and is_steady and self._steady_s is not None:
            return B if self.now_s >= self._steady_s + self.reacts_s else C
        if self.car in (B, C) and not self.has_diode and self.offered_a is not None:
            return DIODE
        return self.car

    def _watch_car(self) -> None:
        if self._boot_code:
            return  # it tests itself again and again, and does nothing else
        if self.state == DISABLED or self.flags & HARD_FAULT:
            if self.flags & HARD_FAULT and self.car == A:
                self.flags &= ~HARD_FAULT
                self.state = UNKNOWN
            return
        self._set_connected(self.car != A)
        pilot = self._pilot()
        if pilot != self._seen:
            self._seen, self._seen_s = pilot, self.now_s
        if self.state != SLEEPING:
            self._pilot_told = pilot
        else:
            is_over = pilot in (A, B) or not self.is_drawing or self.now_s >= self._slept_s + SLEEP_OPEN_S
            if self.relay_closed and is_over:
                self._set_relay(False)
            return
        if self._enter_fault():
            return
        self._follow(pilot)

    def _follow(self, pilot: int) -> None:
        if self._closing_s is not None and pilot == C:
            if self.now_s >= self._closing_s:
                self._closing_s = None
                self._set_relay(True)
            return
        if pilot == C and self.offered_a is None:
            pilot = B  # without PWM a car that asks is only a car
        if pilot == self.state or self.now_s < self._seen_s + self._debounce_s(pilot):
            return
        self._closing_s = None
        self._set_relay(False)
        self.state = pilot
        if pilot in (DIODE, D):
            self.flags |= HARD_FAULT
        elif pilot == C:
            self._begin_closing()

    def _debounce_s(self, pilot: int) -> float:
        if self.relay_closed:
            return {A: OPEN_IN_A_S, B: OPEN_IN_B_S, DIODE: OPEN_DIODE_S}.get(pilot, DEBOUNCE_S)
        return DEBOUNCE_A_S if pilot == A else DEBOUNCE_S

    def _begin_closing(self) -> None:
        """The sensor is tested before every closing, and the loop waits for it."""
        self._tell_state()
        self._busy_until_s = self.now_s + SELF_TEST_S
        if not self.gfi_test_passes:
            self.state = GFI_TEST
            self.flags |= HARD_FAULT
            return
        self._closing_s = self._seen_s + CLOSE_S

    def _enter_fault(self) -> bool:
        """Faults that are not the car's. They go away by themselves when their cause has gone."""
        fault = None
        if self.is_gfi_tripped:
            fault = GFCI
        elif self.is_ground_missing:
            fault = NO_GROUND
        elif self.is_relay_stuck and not self.flags & RELAY:
            fault = STUCK
        if fault is None:
            if self.state in (GFCI, NO_GROUND, STUCK):
                self.state, self._seen_s = UNKNOWN, self.now_s
            return self.state in (GFI_TEST, HOT, OVER_CURRENT, NOT_CLOSED)
        self._set_relay(False)
        self._closing_s = None
        self.state = fault
        return True

    def _set_connected(self, is_connected: bool) -> None:
        self.flags = self.flags | CONNECTED if is_connected else self.flags & ~CONNECTED

    def _set_relay(self, is_closed: bool) -> None:
        if bool(self.flags & RELAY) is not is_closed:
            self.relay_changes.append((self.now_s, is_closed))
        self.flags = self.flags | RELAY if is_closed else self.flags & ~RELAY

    # --- heartbeat --------------------------------------------------------------------------------------------

    def _watch_heartbeat(self) -> None:
        # An unsigned number of 16 bits: 70 s are 70000 ms are 4464 ms.
        interval_ms = self.eeprom.heartbeat_s * 1000 % 65536
        if not self.eeprom.heartbeat_s or (self.now_s - self._pulse_s) * 1000 <= interval_ms:
            return
        if self.eeprom.heartbeat_a < self.capacity_a:
            self._set_capacity(self.eeprom.heartbeat_a, self.eeprom.capacity_a)
        self.missed = 2
        self._pulse_s = self.now_s

    def _set_capacity(self, wanted_a: int, highest_a: int) -> bool:
        self.capacity_a = min(max(wanted_a, self.lowest_a), highest_a)
        return self.capacity_a == wanted_a

    # --- commands ---------------------------------------------------------------------------------------------

    def _work_off_line(self) -> None:
        while self._rx:
            byte = self._rx.popleft()
            if byte == ord("$"):
                self._line = bytearray(b"$")
            elif self._line is None:
                continue
            elif len(self._line) + 1 > LINE_LENGTH:
                self._line = None
            elif byte != ord("\r"):
                self._line.append(byte)
            else:
                line, self._line = bytes(self._line), None
                self._busy_until_s = self.now_s + self.line_s
                self._do(line)
                return

    def _do(self, line: bytes) -> None:
        text, mark, check = line.partition(b"^")
        value = 0
        for byte in text:
            value ^= byte
        words = text.decode("latin-1")[1:].split(" ")
        if len(words) > MAX_TOKENS or (mark and check.upper() != f"{value:02X}".encode()):
            self.say_checked("$NK")
            return
        tail = ""
        if len(words) > 1 and words[-1].startswith(":"):
            name = words.pop().upper()
            tail = f" {name}" if self.has_ids else ""
        self.commands.append(" ".join(words))
        is_ok, answer = self._carry_out(words[0], words[1:])
        self.say_checked(f"${'OK' if is_ok else 'NK'}{' ' + answer if answer else ''}{tail}")

    def _carry_out(self, word: str, words: list[str]) -> tuple[bool, str]:
        match word:
            case "FS" | "FD" | "FE" | "FR":
                self._function(word)
                return True, ""
            case "SC":
                return self._on_capacity(words)
            case "SY" | "GY" if self.has_heartbeat:
                return self._on_heartbeat(word, words)
            case "SB":
                self.flags &= ~BOOT_LOCK
                return True, "0"
            case "S4":
                self.flags = self.flags | AUTH_LOCK if words[0] != "0" else self.flags & ~AUTH_LOCK
                return True, ""
            case "FF":
                self.eeprom.writes.append("FF " + " ".join(words))
                return True, ""
            case _:
                return self._get(word)

    def _get(self, word: str) -> tuple[bool, str]:
        highest_a = self.eeprom.capacity_a
        answers = {
            "GC": f"6 80 {self.capacity_a} {highest_a}",
            "GE": f"{self.capacity_a} {self.settings:04x}",
            "GG": "-1 230000",
            "GI": " TESTIDFF0102",
            "GS": f"{self.state:02x} 0 {self._pilot_told:02x} {self.flags:04x}",
            "GV": "8.2.1 5.2.1",
        }
        if self.has_temperature:
            answers["GP"] = "312 -2560 -2560"
        return word in answers, answers.get(word, "")

    def _function(self, word: str) -> None:
        if word == "FR":
            self.restart()
        elif word == "FS" and self.state != SLEEPING:
            self.state, self._slept_s, self._steady_s = SLEEPING, self.now_s, self.now_s
            self._closing_s = None
        elif word == "FD" and self.state != DISABLED:
            self.state, self._closing_s = DISABLED, None
            self._set_relay(False)
        elif word == "FE" and self.state in (SLEEPING, DISABLED):
            self.state, self._seen, self._steady_s = UNKNOWN, UNKNOWN, None

    def _on_capacity(self, words: list[str]) -> tuple[bool, str]:
        wanted_a = int(words[0])
        if self.is_hot and wanted_a > self.capacity_a:
            return False, str(self.capacity_a)
        is_ok = self._set_capacity(wanted_a, self.eeprom.capacity_a if len(words) > 1 else 80)
        if len(words) == 1:
            self.eeprom.write("capacity_a", self.capacity_a)
        return is_ok, str(self.capacity_a)

    def _on_heartbeat(self, word: str, words: list[str]) -> tuple[bool, str]:
        is_ok = True
        if word == "SY" and not words:
            is_ok = self.missed != 2
            self._pulse_s = self.now_s
        elif word == "SY" and len(words) == 1:
            is_ok = int(words[0]) == MAGIC and (self.missed != 2 or not self.is_hot)
            if is_ok and self.missed == 2:
                self.capacity_a, self.missed = self.eeprom.capacity_a, 1
        elif word == "SY":
            self.eeprom.write("heartbeat_s", int(words[0]))
            self.eeprom.write("heartbeat_a", int(words[1]))
            self.missed, self._pulse_s = 0, self.now_s
        return is_ok, f"{self.eeprom.heartbeat_s} {self.eeprom.heartbeat_a} {self.missed}"

    def _tell_state(self) -> None:
        told = (self.state, self._pilot_told, self.capacity_a, self.flags)
        if self.state == UNKNOWN or told == self._told:
            return
        self._told = told
        self.say_checked(f"$AT {self.state:02x} {self._pilot_told:02x} {self.capacity_a} {self.flags:04x}")


def _checked(text: str) -> bytes:
    data = text.encode()
    value = 0
    for byte in data:
        value ^= byte
    return data + f"^{value:02X}\r".encode()
