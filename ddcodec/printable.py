"""Text from outside, such as names and notes, as one line that a terminal shows and does not obey."""

import unicodedata

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of controls, of formats (those that turn the direction of text among them), of surrogates, of
separators of lines and of paragraphs.
"""
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Parts of words in Persian and of emoji."""


def printable(text):
    r"""Text with an escape for each character of `UNSEEN`, such as \x1b, \n or \u202e.

    A byte of a name that is no UTF-8 becomes its \xff.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def decodable(text):
    r"""Text whose surrogates, which stand for the bytes of a name that are no UTF-8, are escapes such as \xff: what is
    left can be encoded, and strict readers of JSON take it.
    """
    return (
        text
        if text.isascii()
        else "".join(_escape(letter) if unicodedata.category(letter) == "Cs" else letter for letter in text)
    )


def _shown(letter):
    return _escape(letter) if unicodedata.category(letter) in UNSEEN and letter not in JOINERS else letter


def _escape(letter):
    # What os.fsdecode makes of a byte.
    return (
        f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else letter.encode("unicode_escape").decode()
    )
