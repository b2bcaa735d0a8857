"""Where the store's blocking work runs: one thread, or inline for tests under virtual time."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def writer_thread() -> Executor:
    """Make the store's one thread: SQLite sees one writer, and an fsync never stalls the event loop."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")


class InlineExecutor(Executor):
    """Runs everything at once in the calling thread; time does not pass meanwhile."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run `fn` now and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor hands every error to its future
            future.set_exception(error)
        return future
