"""Colours that the boxes of an AVIF or HEIC file state.

The sources are ISO/IEC 14496-12, 8.11 and 12.1.5, and ISO/IEC 23008-12.
"""

from ..format.color import Color, of_code_points

PATH = (b"meta", b"iprp", b"ipco", b"colr")
"""Kinds of boxes from the file's own to the colour descriptions, outermost first."""
CODE_POINTS = b"nclx"
"""Type of a colour description in code points; the other types hold an ICC profile."""
FULL_BOX_BYTES = 4
"""Bytes of version and flags, with which only `meta` of these boxes begins."""


def color_of_boxes(data: bytes) -> Color | None:
    """Read the `Color` of a file's first description in code points.

    The result is None where there is no such description, and where it leaves a code point open.
    """
    for name in PATH[:-1]:
        data = next((content for kind, content in _boxes(data) if kind == name), b"")
        data = data[FULL_BOX_BYTES:] if name == b"meta" else data
    content = next(
        (content for kind, content in _boxes(data) if kind == PATH[-1] and content.startswith(CODE_POINTS)), b""
    )
    if len(content) < 8:
        return None
    return of_code_points(*(int.from_bytes(content[at : at + 2], "big") for at in (4, 6)))


def _boxes(data):
    """Yield (kind, content) of boxes that follow one another; a content that goes beyond the end is cut there."""
    at = 0
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size else len(data)
        if end < at + head:
            return
        yield kind, data[at + head : end]
        at = end
