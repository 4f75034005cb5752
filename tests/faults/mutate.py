"""Damage of every kind: to bytes, to lines and fields of text, to JSON values, to the chunks of a PNG."""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

CSV_WORDS = [b'"', b",", b"\n", b"\r", b"\0", b"\xef\xbb\xbf", b"..", b"/", b"../../x", b"-1", b"1.0", b"nan", b"NA"]
CSV_WORDS += [b"9" * 19, b"9" * 400, b" ", b"\t", b"\x1a", b"\xff", "é²٣\u2028\x85".encode(), b'""', b'","', b"=1+1"]
YAML_WORDS = [b"&a ", b"*a", b"!!python/object/apply:os.system ", b"!!binary ", b"<<: ", b"{", b"}", b"[", b"]", b"? "]
YAML_WORDS += [b"- ", b".nan", b".inf", b"1e400", b"0x_", b"9" * 400, b"~", b"|\n", b">\n", b"%YAML 9.9\n", b"---\n"]
YAML_WORDS += [b"...\n", b"\t", b": ", b"#", b'"', b"'", b"\0", b"\x07", b"\xff", b"=", b"yes", b"-1", b"2019-99-99"]
YAML_WORDS += [b"1:2:3", b"null", b"0o9", b"\n", b"[" * 3000, b"train: ", b"seed: 1\n", "\u2028\u202e\x85".encode()]
YAML_WORDS += [b"1" * 3000, b"@", b"`", b"{a: {a: ", b"- " * 300]
OTHERS: list[Any] = [None, True, -1, 0, 3, 2**63, 2**70, 1e400, "", "..", "../x", "x" * 300, "a\nb", [], {}, [[]]]


def damaged(random: Random, data: bytes, words: Sequence[bytes] = (), most: int = 3) -> bytes:
    """Return bytes with one to ``most`` flips, cuts, doublings, moves or insertions."""
    for _ in range(random.randint(1, most)):
        data = random.choice(_OF_BYTES)(random, data, words)
    return data


def damaged_lines(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    """Return text whose lines were dropped, doubled, moved, or its fields exchanged."""
    lines = data.split(b"\n")
    place, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(5)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(other, lines[place])
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        mark = b"," if b"," in lines[place] else b":"
        fields, more = lines[place].split(mark), lines[other].split(mark)
        new = random.choice(more) if kind == 3 else random.choice([*words, b""])
        fields[random.randrange(len(fields))] = new
        lines[place] = mark.join(fields)
    return b"\n".join(lines)


def damaged_json(random: Random, value: Any) -> Any:
    """Return a copy of a JSON value, something in which is something else, gone or twice."""
    value = json.loads(json.dumps(value))
    node, key = None, None
    inner = value
    while isinstance(inner, dict | list) and inner and (node is None or random.random() < 0.8):
        node, key = inner, random.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        inner = node[key]
    if node is None or random.random() < 0.05:
        return random.choice(OTHERS)
    kind = random.randrange(4)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, list):
        node.append(inner)
    elif kind == 2 and isinstance(node, dict):
        node[random.choice(["../x", "full/../../x", "", "a\nb", str(key) + "x"])] = node.pop(key)
    elif isinstance(inner, int) and random.random() < 0.5:
        node[key] = inner + random.choice([-1, 1, 7, 2**31, 2**62])
    else:
        node[key] = random.choice(OTHERS)
    return value


def damaged_png(random: Random, data: bytes) -> bytes:
    """Return a PNG of sound checksums whose header lies, or whose chunks are other, fewer, more, in another order."""
    chunks = _chunks(data)
    place = random.randrange(len(chunks))
    kind = random.randrange(7)
    if kind == 0:
        chunks[0] = (b"IHDR", _header(random, chunks[0][1]))
    elif kind == 1:
        del chunks[place]
    elif kind == 2:
        chunks.insert(random.randrange(len(chunks) + 1), chunks[place])
    elif kind == 3:
        random.shuffle(chunks)
    elif kind == 4:
        chunks.insert(random.randrange(len(chunks) + 1), (random.choice(_NAMES), _content(random)))
    elif kind == 5:
        chunks[place] = chunks[place][0], damaged(random, chunks[place][1])
    else:
        pixels = damaged(random, zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT")))
        chunks = [chunks[0], (b"IDAT", zlib.compress(pixels * random.choice([1, 1, 1, 0, 50]))), (b"IEND", b"")]
    return data[:8] + b"".join(_chunk(name, body) for name, body in chunks)


def _flip(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) or 1)
    return data[:place] + bytes(byte ^ 1 << random.randrange(8) for byte in data[place : place + 1]) + data[place + 1 :]


def _cut(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:start] if random.random() < 0.3 else data[:start] + data[min(end, start + random.choice([1, 4, 40])) :]


def _double(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] * random.choice([1, 1, 1, 30]) + data[end:]


def _move(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    a, b, c = sorted(random.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _insert(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    new = random.choice(words) if words else random.randbytes(random.choice([1, 4, 30]))
    return data[:place] + new + data[place:]


_Damage = Callable[[Random, bytes, Sequence[bytes]], bytes]
_OF_BYTES: list[_Damage] = [_flip, _flip, _cut, _double, _move, _insert, _insert]
_BOMB = b"key\0\0" + zlib.compress(bytes(10_000_000), 9)
_NAMES = [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"gAMA", b"sBIT", b"acTL", b"fcTL", b"fdAT"]
_NAMES += [
    b"bKGD",
    b"cHRM",
    b"sRGB",
    b"hIST",
    b"pHYs",
    b"tIME",
    b"IDAT",
    b"IHDR",
    b"IEND",
    b"abCd",
    b"ABCD",
    b"\0\0\0\0",
]


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and content of each chunk of a sound PNG."""
    found, start = [], 8
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        found.append((data[start + 4 : start + 8], data[start + 8 : start + 8 + length]))
        start += 12 + length
    return found


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _header(random: Random, body: bytes) -> bytes:
    """Return an IHDR that says something else."""
    width, height, *kinds = struct.unpack(">IIBBBBB", body)
    sides = [0, 1, width - 1, width + 1, 2 * width, 2**14, 2**14 + 1, 30_000, 2**31 - 1, 2**32 - 1]
    if random.random() < 0.7:
        width, height = random.choice([(random.choice(sides), height), (width, random.choice(sides)), (height, width)])
    else:
        kinds[random.randrange(5)] = random.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
    return struct.pack(">IIBBBBB", width, height, *kinds)


def _content(random: Random) -> bytes:
    """Return what a chunk could hold: nothing, noise, or a text of 10 MB, compressed."""
    text = _BOMB if random.random() < 0.02 else b"key\0\0x"
    return random.choice([b"", random.randbytes(random.randrange(60)), text])
