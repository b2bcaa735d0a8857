"""An asyncio event loop in which time passes only when nothing is left to do at the present moment.

`run_virtual(main())` runs a coroutine on it: a sleep of an hour takes no time, and two tasks that sleep to
different moments always wake in the same order. `loop.time()` is the virtual monotonic clock; hand it to
`Clock(monotonic_s=loop.time, ...)` or use `virtual_clock()`.

Rules:
- Real things (threads, sockets) know nothing of virtual time. Work in an executor is noticed by itself;
  for anything else say `with virtual_loop().real_work():`. While real work is outstanding, time stands still
  and the loop waits for it, at most `MAX_REAL_WAIT_S` of real time.
- When every task waits and no timer is set, nothing can ever happen again: `StuckError`, not a hanging test.
- Time stops at `limit_s` after the start: a test that runs away ends with `RunawayError`.
"""

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

from evcharge_agent.runtime.clock import Clock

START_MONOTONIC_S = 1000.0
START_UTC_S = 1_750_000_000.0
"""2025-06-15T15:06:40Z, what `virtual_clock` believes at the start."""
MAX_REAL_WAIT_S = 10.0
DEFAULT_LIMIT_S = 30 * 86_400.0

T = TypeVar("T")


class StuckError(RuntimeError):
    """All tasks wait for something that cannot come."""


class RunawayError(RuntimeError):
    """Virtual time reached its limit."""


class _JumpingSelector(selectors.BaseSelector):
    """Where a loop would wait for I/O, this one lets its clock jump to the next timer instead."""

    def __init__(self, jump: Callable[[float | None], None], has_real_work: Callable[[], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._jump = jump
        self._has_real_work = has_real_work

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._has_real_work():
            events = self._real.select(MAX_REAL_WAIT_S)
            if not events:
                raise StuckError(f"real work was not done within {MAX_REAL_WAIT_S:g} s")
            return events
        self._jump(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop itself; `run_virtual` is the usual way to get one."""

    def __init__(self, start_s: float = START_MONOTONIC_S, limit_s: float = DEFAULT_LIMIT_S) -> None:
        self._now_s = start_s
        self._last_s = start_s + limit_s
        self._real_work = 0
        super().__init__(_JumpingSelector(self._jump, lambda: self._real_work > 0))

    def time(self) -> float:
        """Virtual monotonic seconds."""
        return self._now_s

    @contextlib.contextmanager
    def real_work(self) -> Iterator[None]:
        """Hold time still: something outside the loop is going to wake it."""
        self._real_work += 1
        try:
            yield
        finally:
            self._real_work -= 1

    def run_in_executor(  # type: ignore[override]  # the base class is typed with an unpacked TypeVarTuple
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run in an executor, holding time still until the result is there."""
        future = super().run_in_executor(executor, func, *args)
        self._real_work += 1
        future.add_done_callback(self._end_real_work)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the default executor's threads, which end in real time (from 3.12 on with a time-out)."""
        with self.real_work():
            await super().shutdown_default_executor(*args)

    def _end_real_work(self, _future: asyncio.Future[Any]) -> None:
        self._real_work -= 1

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            raise StuckError("every task waits and no timer is set")
        if self._now_s + timeout > self._last_s:
            raise RunawayError(f"virtual time went beyond {self._last_s:g} s")
        self._now_s += timeout


def run_virtual(
    main: Coroutine[Any, Any, T], *, start_s: float = START_MONOTONIC_S, limit_s: float = DEFAULT_LIMIT_S
) -> T:
    """Run `main` from the virtual moment `start_s` and return its result; leftover tasks are cancelled."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start_s, limit_s)) as runner:
        return runner.run(main)


def virtual_loop() -> VirtualTimeLoop:
    """Return the running loop, which must be a virtual one."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError("this only works inside run_virtual")
    return loop


def virtual_clock(utc_s: float = START_UTC_S) -> Clock:
    """Make a clock on the running virtual loop that believes, untrusted, that it is `utc_s` now."""
    loop = virtual_loop()
    offset_s = utc_s - loop.time()
    return Clock(monotonic_s=loop.time, system_utc_s=lambda: loop.time() + offset_s)
