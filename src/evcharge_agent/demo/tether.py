"""Start a program that dies with its parent: `python -I -S tether.py PARENT_PID PROGRAM ARGUMENT...`.

Run as a script in front of each process of a simulation, because nobody is left to stop them after a SIGKILL of
`simulate` or `demo`. The kernel keeps the request across exec, so what then runs under the same process id is the
very program the services run, and knows nothing of this. Other ways were worse: code between fork and exec
(`preexec_fn`) may deadlock in a process with threads; a pipe whose end is watched would need code in all three
programs, and does not end one that is stopped or hangs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 71


def main(parent_pid: int, command: list[str]) -> int:
    """Become `command`; returns only if the parent is already gone or the kernel refuses.

    The signal comes when the *thread* that forked ends: the one the parent's loop runs in.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.stderr.write(f"cannot be tied to the simulation: {os.strerror(ctypes.get_errno())}\n")
        return EXIT_ORPHAN
    # A parent that died before the request was made is never told of.
    if os.getppid() != parent_pid:
        return EXIT_ORPHAN
    return os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
