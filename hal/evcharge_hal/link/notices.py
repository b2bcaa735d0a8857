"""Keeps what a noisy or hostile peer causes from filling the log. Pure."""

from dataclasses import dataclass, field

from evcharge_hal.contract.pilot import LinkNoticed

_BURST = 5
_WINDOW_S = 5.0


@dataclass(slots=True)
class _Window:
    began_s: float
    passed: int = 0
    held_back: int = 0


@dataclass(slots=True)
class NoticeLimiter:
    """Lets at most `burst` notices of one code and connector through in each window of `window_s` seconds."""

    burst: int = _BURST
    window_s: float = _WINDOW_S
    _windows: dict[tuple[str, int | None], _Window] = field(default_factory=dict)

    def admit(self, notice: LinkNoticed, now_s: float) -> list[LinkNoticed]:
        """The notice, with the number held back before it; empty while there were too many."""
        key = (notice.code, notice.connector)
        window = self._windows.get(key)
        if window is None or now_s - window.began_s >= self.window_s:
            held_back = 0 if window is None else window.held_back
            self._windows[key] = _Window(now_s, passed=1)
            more = f" ({held_back} more before)" if held_back else ""
            return [LinkNoticed(notice.code, notice.connector, notice.detail + more)]
        if window.passed < self.burst:
            window.passed += 1
            return [notice]
        window.held_back += 1
        return []
