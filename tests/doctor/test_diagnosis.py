from dataclasses import replace
from pathlib import Path

import pytest

from rcic.doctor.diagnosis import machine_lines, machine_remarks, version_lines, version_remarks
from rcic.doctor.machine import Gpu, Machine
from tests.program import Program

A100, T4 = Gpu("A100", 40 * 10**9, True), Gpu("T4", 16 * 10**9, False)
GOOD = Machine("Linux x86_64", 16, 16, "AVX512", True, 10**11, 10**11, (A100,), {Path("out"): 10**12})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"gpus": ()}, ["no GPU: train small networks"]),
        ({"gpus": (), "cpu_has_bf16": False}, ["no GPU", "--set=train.precision=fp32"]),
        ({"gpus": (A100, T4)}, ["GPU 1 (T4) has no bf16 arithmetic: use --set=train.precision=fp16"]),
        ({"threads": 32}, ["torch would use 32 threads on 16 cores: set OMP_NUM_THREADS=16"]),
        ({"disks": {Path("out"): 10**9}}, ["out: 1.0 GB free"]),
    ],
)
def test_what_is_slow_or_wrong_on_a_machine_is_told_with_its_remedy(changes, told):
    remarks = list(machine_remarks(replace(GOOD, **changes)))
    assert len(remarks) == len(told)
    assert all(part in line for part, line in zip(told, remarks, strict=True))


def test_the_facts_of_a_machine_are_a_line_each():
    text = machine_lines(replace(GOOD, gpus=(A100, T4)))
    assert text[1:] == [
        "cores    16, torch uses 16 threads; AVX512, with bf16",
        "memory   100.0 GB of 100.0 GB free",
        "GPU 0    A100, 40.0 GB, with bf16",
        "GPU 1    T4, 16.0 GB, without bf16",
        "disk     1000.0 GB free for out",
    ]
    assert "GPU      none that torch sees" in machine_lines(replace(GOOD, gpus=()))


def test_a_missing_and_an_untested_package_are_named():
    versions = {"torch": "2.14.1", "timm": None, "pandas": "3.9.0"}
    table = version_lines(versions)
    assert [line.split()[-1] for line in table[1:4]] == ["2.14", "missing", "tested"]
    told = list(version_remarks(versions))
    assert len(told) == 2
    assert told[0].startswith("timm is missing")
    assert told[1].startswith("pandas 3.9.0 was not tested (tested: 3.0 to 3.1)")


def test_the_command_prints_machine_versions_and_remarks(capsys, tmp_path):
    text = Program(capsys).run("doctor.py", "doctor", "--path", tmp_path)
    assert text.startswith("rcic ")
    parts = [part.split("\n")[0].split()[0] for part in text.split("\n\n")]
    assert parts == ["rcic", "package", "Python", "known"]
    assert f"free for {tmp_path}" in text and "torch " in text
