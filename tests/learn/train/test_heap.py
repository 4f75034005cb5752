"""Memory that a training keeps."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from rcic.learn.train.heap import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(2**23)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_memory(), (np.ones(2**23), faults())[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_used_again():
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = subprocess.check_output([sys.executable, "-c", FAULTS], text=True, env=here).split()
    before, is_kept, after = int(words[0]), words[1], int(words[2])
    assert is_kept == "True"
    assert before > 5 * 16 and after < before / 4  # a page may be 4 kB or, if the system likes, 2 MB
