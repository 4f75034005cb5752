"""``python die_with_parent.py PARENT COMMAND ...``: become COMMAND, which ends when the process PARENT is gone.

A worker that loses its cluster is killed; without this the training that it started would stay, and keep its folder.
Started as a script on a node, so it stands on the standard library alone.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Linux, <sys/prctl.h>


def _main() -> None:
    """Bind this process to its parent and replace it by the command."""
    parent, *words = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):  # else it was gone before
        os.execvp(words[0], words)  # nosec B606 # a list, no shell


if __name__ == "__main__":
    _main()
