"""Lists of files: which files are meant, where the result of each goes, and which part of them is wanted here."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from ..errors import SourceError, UsageError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """A file to read and a file to write.

    weight: bytes of the input, which stand for the time that it takes.
    """

    input: str
    output: str
    weight: int = 0


def named_after(path: str, extension: str, *, keep: bool = False) -> str:
    """Name the result of a file: with `extension` in place of its own, or behind its whole name if `keep`."""
    return (path if keep else os.path.splitext(path)[0]) + extension


def jobs_of(
    inputs: Iterable[str],
    output: str | None,
    extension: str,
    is_wanted: Callable[[str], bool],
    *,
    keep: bool = False,
    recursive: bool = False,
    shard: tuple[int, int] = (1, 1),
) -> list[Job]:
    """List the `Job`s of files and folders, sorted by the names of the inputs.

    A folder stands for all files in it and below for which `is_wanted`. An input that is named twice counts once.

    output: the folder for results, which gets the folders of the input; None puts each result beside its input.
    extension, keep: how results are named; see `named_after`.
    recursive: folders are allowed.
    shard: (k, n) for the k-th of n parts of all jobs, from 1 on. Each job is in one part only.

    Raises `UsageError` for a folder if not `recursive`, and for two inputs with one output. Raises `SourceError` for a
    folder without such files.
    """
    found: dict[str, tuple[str, str]] = {}
    for path in inputs:
        for file, place in _files(path, is_wanted, recursive):
            target = named_after(file if output is None else os.path.join(output, place), extension, keep=keep)
            found.setdefault(os.path.abspath(file), (file, target))
    makers: dict[str, str] = {}
    for file, target in found.values():
        first = makers.setdefault(os.path.normcase(os.path.abspath(target)), file)
        if first != file:
            apart = (
                f"--keep-extension names them by their whole names, with {extension} behind"
                if os.path.basename(first) != os.path.basename(file)
                else "rename one of them, or leave it out"
            )
            raise UsageError(f"{first} and {file} would both become {target}; {apart}.")
    k, n = shard
    return [Job(file, target, _size(file)) for file, target in sorted(found.values())[k - 1 :: n]]


def files_in(folder: str, *, recursive: bool = False) -> list[str]:
    """List the paths of the files in a folder that are not hidden, sorted by name.

    recursive: the files of its folders follow.

    Raises `SourceError` if a folder cannot be read.
    """
    try:
        entries = sorted(
            (entry for entry in os.scandir(folder) if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror or error}.") from None
    files = [entry.path for entry in entries if _is_file(entry)]
    # A link may lead back to a folder above.
    below = [entry.path for entry in entries if recursive and entry.is_dir(follow_symlinks=False)]
    return files + [file for inner in below for file in files_in(inner, recursive=True)]


def _is_file(entry):
    try:
        return entry.is_file()
    except OSError:
        return False  # A link that leads to itself.


def in_bundles(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """Group items into lists of up to `most`, in their order.

    An item is taken only when its list is wanted.
    """
    items = iter(items)
    while bundle := list(islice(items, most)):
        yield bundle


def _files(path, is_wanted, recursive):
    """List the files that an input stands for: (file, its place in the folder of results)."""
    if not os.path.isdir(path):
        return [(path, os.path.basename(path))]
    if not recursive:
        raise UsageError(f"{path} is a folder; with -r (--recursive) all that is in it is taken.")
    files = [file for file in files_in(path, recursive=True) if is_wanted(file)]
    if not files:
        raise SourceError(f"The folder {path} holds nothing to take.")
    return [(file, os.path.relpath(file, path)) for file in files]


def _size(path):
    try:
        return os.path.getsize(path)
    except (OSError, ValueError):
        return 0  # The error is reported when the file is read.
