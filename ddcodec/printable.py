"""Text from outside, such as names and notes, as one line that a terminal shows and does not obey."""

import unicodedata

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that are escaped.

Cc are controls. Cf are formats, some of which turn the direction of text. Cs are surrogates. Zl and Zp separate lines
and paragraphs.
"""
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Formats that are not escaped: they are parts of words in Persian, and of emoji."""


def printable(text: str) -> str:
    r"""Escape each character of `UNSEEN` in a text, as in \x1b, \n or \u202e.

    A byte of a name that is no UTF-8 becomes its \xff.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def decodable(text: str) -> str:
    r"""Escape the surrogates of a text, as in \xff.

    They stand for the bytes of a name that are no UTF-8. The result can be encoded, and strict readers of JSON take it.
    """
    return (
        text
        if text.isascii()
        else "".join(_escape(letter) if unicodedata.category(letter) == "Cs" else letter for letter in text)
    )


def _shown(letter):
    return _escape(letter) if unicodedata.category(letter) in UNSEEN and letter not in JOINERS else letter


def _escape(letter):
    # os.fsdecode turns a byte 0xNN that is no UTF-8 into U+DCNN.
    return (
        f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else letter.encode("unicode_escape").decode()
    )
