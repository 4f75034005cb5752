"""Whose fault an error in a decoder is: the file's, or that of a system without memory, handles, permission."""

import errno

import cv2
import numpy as np
import pytest
import zstandard

from rcic.errors import CannotRead, Exhausted, UserError
from rcic.files.decoding import causes, decoding, no_memory, system_error

LACKS = {
    "Python": MemoryError(),
    "OpenCV": cv2.error(
        "OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 16000000 bytes"
    ),
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
    "torch's map": RuntimeError("unable to mmap 32005557 bytes from file <a.pth>: Cannot allocate memory (12)"),
    "a GPU": RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    "zstd": zstandard.ZstdError("zstd decompressor error: Allocation error : not enough memory"),
    "threads": RuntimeError("can't start new thread"),
    "the system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "numpy": np._core._exceptions._ArrayMemoryError((4000, 4000), np.dtype("u1")),
}
DAMAGE = {
    "a checksum": zstandard.ZstdError("zstd decompressor error: Restored data doesn't match checksum"),
    "an offset": OSError(errno.EINVAL, "Invalid argument"),
    "a word": ValueError("cannot decode"),
    "a library's own": OSError("not an image"),
    "a header's claim": np._core._exceptions._ArrayMemoryError((2**20, 2**20, 16), np.dtype("u2")),
}


def read(error: Exception) -> None:
    with decoding("a.png", lambda one: UserError(f"a.png: damaged ({one})")):
        raise error


@pytest.mark.parametrize("name", LACKS)
def test_a_lack_of_memory_is_no_damage(name):
    with pytest.raises(Exhausted, match=r"^a\.png: not enough memory to read it; ") as caught:
        read(LACKS[name])
    assert caught.value.__cause__ is LACKS[name]
    assert str(no_memory("model 'x'", LACKS[name])).startswith("model 'x': not enough memory for it; ")


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_damage(name):
    with pytest.raises(UserError, match=r"^a\.png: damaged"):
        read(DAMAGE[name])
    assert system_error("a.png", DAMAGE[name]) is None


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV])
def test_what_the_disk_does_not_give_is_no_damage(number):
    with pytest.raises(CannotRead, match=r"^a\.png: cannot be read: ") as caught:
        read(OSError(number, "the reason"))
    assert (caught.value.kind, caught.value.reason) == ("unreadable", "cannot be read: the reason")


def test_a_decoder_that_cannot_be_loaded_is_no_damage():
    with pytest.raises(
        Exhausted, match=r"^a\.png: its decoder cannot be loaded \(no lzw_decode\); is there too little"
    ):
        read(ImportError("no lzw_decode"))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_no_damage(number):
    with pytest.raises(Exhausted, match=r"^a\.png: too many open files to read it; raise the limit \(ulimit -n\)"):
        read(OSError(number, "x"))


def test_the_first_cause_is_looked_for():
    """Decoders raise an error of their own for what they met."""
    try:
        try:
            raise MemoryError
        except MemoryError as error:
            raise ValueError("corrupt strip") from error
    except ValueError as error:
        with pytest.raises(Exhausted):
            read(error)
        error.__cause__.__cause__ = error  # a circle
        assert len(list(causes(error))) == 2


def test_a_line_for_the_user_stays_as_it_is():
    for error in (UserError("b"), CannotRead("b", "is a folder", "not-file"), Exhausted("b")):
        with pytest.raises(UserError) as caught:
            read(error)
        assert caught.value is error
