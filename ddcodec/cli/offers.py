"""Completions that a shell gets for a value while it is typed: names, and the files that a command takes."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from click.shell_completion import CompletionItem

PATH = "path"
"""The type of a file or folder in the scripts of `completion`."""

Offer = Callable[[Any, Any, str], list[CompletionItem]]
"""A `shell_complete` of click's: offer(ctx, param, incomplete)."""


def names(names_of: Callable[[], Iterable[str]]) -> Offer:
    """Make a `shell_complete` for one of the names that `names_of()` gives; it is called only when they are needed."""
    return lambda ctx, param, incomplete: [CompletionItem(name) for name in names_of() if name.startswith(incomplete)]


def lists(names_of: Callable[[], Iterable[str]]) -> Offer:
    """Make a `shell_complete` for several of these names with commas between."""

    def complete(ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [
            CompletionItem(before + comma + name)
            for name in names_of()
            if name.startswith(last) and name not in before.split(",")
        ]

    return complete


def files(wants: Callable[[str], bool]) -> Offer:
    """Make a `shell_complete` for folders and for files whose names pass `wants`.

    Folders end in a slash. Hidden ones are offered only if a dot is typed.
    """

    def complete(ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        folder, beginning = os.path.split(incomplete)
        try:
            entries = [
                entry for entry in os.scandir(os.path.expanduser(folder) or ".") if entry.name.startswith(beginning)
            ]
        except OSError:
            return []
        seen = [
            entry for entry in entries if (beginning or not entry.name.startswith(".")) and entry.name.isprintable()
        ]
        kinds = [(entry.name, entry.is_dir()) for entry in sorted(seen, key=lambda entry: entry.name)]
        return [
            CompletionItem(os.path.join(folder, name) + "/" * is_folder, PATH)
            for name, is_folder in kinds
            if is_folder or wants(name)
        ]

    return complete


def is_ddc_name(path: str) -> bool:
    """Whether a file is named like a .ddc file."""
    return path.lower().endswith(".ddc")


def is_picture_name(path: str) -> bool:
    """Whether a file is named like a picture."""
    from ..pictures.kinds import is_picture_name

    return is_picture_name(path)


def is_either_name(path: str) -> bool:
    """Whether a file is named like a .ddc file or a picture."""
    return is_ddc_name(path) or is_picture_name(path)


def devices() -> Sequence[str]:
    """List the values of --device."""
    return "auto", "cpu", "cuda"


def profiles() -> Iterable[str]:
    """List the values of --profile."""
    from ..presets import PROFILES

    return PROFILES


def tunes() -> Iterable[str]:
    """List the values of --tune."""
    from ..presets import TUNES

    return TUNES


def bases() -> Iterable[str]:
    """List the values of --base."""
    from ..presets import BASE_CHOICES

    return BASE_CHOICES


def tasks() -> Iterable[str]:
    """List the values of --task."""
    from ..restoration.settings import tasks

    return tasks()


def tasks_before_encode() -> Iterable[str]:
    """List the values of encode's --restore."""
    return [task for task in tasks() if task != "superres"]


def priors() -> Iterable[str]:
    """List the values of --prior."""
    from ..restoration.settings import priors

    return priors()


def codecs() -> Sequence[str]:
    """List the names of bench's --codecs."""
    from ..benchmark.peers import NAMES

    kinds = ("ddc:e{}", "ddc:e{}:psnr", "ddc:classic:e{}")
    own = [kind.format(effort) for kind in kinds for effort in range(1, 10)]
    return ["all", *NAMES, "ddc", "ddc:classic", *own]
