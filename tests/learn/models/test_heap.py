"""Memory that a training keeps."""

import os
import platform
import subprocess
import sys

import pytest

KEPT = """
from pathlib import Path
import numpy as np
from rcic.learn.models.heap import keep_memory

def kept():
    before = resident()
    np.ones(2**23)  # 64 MB
    return resident() - before

def resident():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))

print(kept(), keep_memory(), kept())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_stays_with_the_process():
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = subprocess.check_output([sys.executable, "-c", KEPT], text=True, env=here).split()
    before, does, after = int(words[0]), words[1], int(words[2])  # kB
    assert does == "True"
    assert before < 8 * 1024 and after > 48 * 1024
