"""A serial port that is a pseudo-terminal: what a UART does and nothing a terminal would."""

import os
import pty
import termios
import tty
from pathlib import Path


class SerialPty:
    """Both ends of a pty; the far end is held open, so that readers coming and going are no error."""

    def __init__(self, link: Path) -> None:
        """Make the pty and let `link` point to its device.

        Raises:
            OSError: there is no pty left, or the link cannot be made.
        """
        self.fileno, self._far = pty.openpty()
        tty.setraw(self._far)
        os.set_blocking(self.fileno, False)
        self._link = link
        fresh = link.with_name(link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._far))
        fresh.replace(link)

    def read(self) -> bytes:
        """What has arrived; empty when nothing has."""
        try:
            return os.read(self.fileno, 4096)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Send. Nobody reads a dead guard's port: like a UART, it forgets what did not fit."""
        try:
            os.write(self.fileno, data)
        except BlockingIOError:
            # The old is dropped, so that a new guard starts with the newest.
            termios.tcflush(self._far, termios.TCIFLUSH)

    def close(self) -> None:
        """Take the port away."""
        self._link.unlink(missing_ok=True)
        os.close(self.fileno)
        os.close(self._far)
