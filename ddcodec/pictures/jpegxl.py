"""Read what the header of a JPEG XL file says of its samples.

Pillow's plugin hands out 8 bits, whatever a file has, and knows no animation.
"""

from typing import NamedTuple


class JxlHeader(NamedTuple):
    """Statements of a file's header.

    bits: bits a sample.
    floating: whether samples are floating-point numbers.
    animated: whether there may be several frames.
    """

    bits: int
    floating: bool
    animated: bool


def read_header(data: bytes) -> JxlHeader:
    """Read the `JxlHeader` of a file, bare or in boxes (ISO/IEC 18181-1, annex D, and 18181-2).

    data: the file or its beginning.

    Raises `ValueError` where there is no header, and where it is cut off.
    """
    bits = _Bits(_codestream(data))
    if bits.take(16) != 0x0AFF:
        raise ValueError("the codestream has no signature")
    _skip_size(bits)
    if bits.take(1):
        return JxlHeader(8, False, False)
    animated = False
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            _skip_size(bits)
        if bits.take(1):
            _skip_preview(bits)
        animated = bool(bits.take(1))
        if animated:
            bits.one_of(0, 0, 10, 30)
            bits.one_of(0, 0, 8, 10)
            bits.one_of(0, 3, 16, 32)
            bits.take(1)
    floating = bool(bits.take(1))
    least, sizes = ((32, 16, 24, 1), (0, 0, 0, 6)) if floating else ((8, 10, 12, 1), (0, 0, 0, 6))
    choice = bits.take(2)
    return JxlHeader(least[choice] + bits.take(sizes[choice]), floating, animated)


class _Bits:
    """Reads the bits of a codestream, least significant first."""

    def __init__(self, data):
        # No header is longer.
        self._left, self._value = 8 * min(len(data), 64), int.from_bytes(data[:64], "little")

    def take(self, count: int) -> int:
        """Read a number of `count` bits. Raises `ValueError` behind the end."""
        if count > self._left:
            raise ValueError("the header is cut off")
        taken = self._value & (1 << count) - 1
        self._value, self._left = self._value >> count, self._left - count
        return taken

    def one_of(self, *sizes: int) -> int:
        """Read a number in the form U32: two bits choose how many bits follow."""
        return self.take(sizes[self.take(2)])


def _codestream(data):
    if data.startswith(b"\xff\x0a"):
        return data
    at = 0
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            # The first part of several begins with its number.
            return data[at + head + 4 * (kind == b"jxlp") :][:64]
        if size < head:
            break
        at += size
    raise ValueError("there is no codestream in it")


def _skip_size(bits):
    small = bits.take(1)
    for side in range(2):
        if side == 0 or bits.take(3) == 0:
            if small:
                bits.take(5)
            else:
                bits.one_of(9, 13, 18, 30)


def _skip_preview(bits):
    small = bits.take(1)
    for side in range(2):
        if side == 0 or bits.take(3) == 0:
            # In eighths: 16, 32, or 5 or 9 bits; else 6, 8, 10 or 12 bits.
            bits.one_of(*((0, 0, 5, 9) if small else (6, 8, 10, 12)))
