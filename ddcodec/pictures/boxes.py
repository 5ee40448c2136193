"""What the boxes of an AVIF or HEIC file say of its colours (ISO/IEC 14496-12, 8.11 and 12.1.5; 23008-12)."""

from ..format.color import of_code_points

PATH = (b"meta", b"iprp", b"ipco", b"colr")
CODE_POINTS = b"nclx"
FULL_BOX_BYTES = 4
"""Version and flags, which `meta` alone of these begins with."""


def color_of_boxes(data):
    """The `Color` of the first description in code points, or None where there is none or it leaves one open."""
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
    """Yield (kind, content) of boxes that follow each other; what goes beyond the end is cut there."""
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
