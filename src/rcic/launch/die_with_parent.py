"""``python die_with_parent.py PARENT COMMAND ...``: become COMMAND, which ends with the process PARENT.

A worker that loses its cluster is killed; without this script its training would go on and keep its folder locked.
It runs as a script on a node, so it uses the standard library only.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Linux, <sys/prctl.h>


def _main() -> None:
    """Tie this process to its parent and replace it with the command."""
    parent, *words = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):  # else the parent has already ended
        os.execvp(words[0], words)  # nosec B606 # a list, no shell


if __name__ == "__main__":
    _main()
