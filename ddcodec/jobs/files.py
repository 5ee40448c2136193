"""Many files at once: which they are, where each one's result goes, which part of them is wanted here."""

import os
from dataclasses import dataclass
from itertools import islice

from ..errors import SourceError, UsageError


@dataclass(frozen=True)
class Job:
    """A file to read and the one to write; `weight` is the bytes of the first, for it stands for the time that it
    takes.
    """

    input: str
    output: str
    weight: int = 0


def named_after(path, extension, *, keep=False):
    """The path of what is made of a file: with `extension` instead of its own, or, with `keep`, behind its whole
    name.
    """
    return (path if keep else os.path.splitext(path)[0]) + extension


def jobs_of(inputs, output, extension, is_wanted, *, keep=False, recursive=False, shard=(1, 1)):
    """The `Job`s of files and folders, in the order of the inputs' names.

    A folder stands for all files in it and below whose name `is_wanted`. Results go to the folder `output`, which gets
    the folders of the input, or, if that is None, beside each input; they are `named_after` the inputs. shard: (k, n)
    for the k-th of n parts of all jobs, each job in one part only. An input that is named twice counts once. Raises
    `UsageError` for a folder if not `recursive` and for two inputs with one output, `SourceError` for a folder without
    such files.
    """
    found = {}
    for path in inputs:
        for file, place in _files(path, is_wanted, recursive):
            target = named_after(file if output is None else os.path.join(output, place), extension, keep=keep)
            found.setdefault(os.path.abspath(file), (file, target))
    makers = {}
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


def files_in(folder, *, recursive=False):
    """Paths of the files of a folder that are not hidden, in the order of their names; recursive: of its folders, too.

    Raises `SourceError`.
    """
    try:
        entries = sorted(
            (entry for entry in os.scandir(folder) if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror or error}.") from None
    files = [entry.path for entry in entries if _is_file(entry)]
    # Through a link one could come back to where one was.
    below = [entry.path for entry in entries if recursive and entry.is_dir(follow_symlinks=False)]
    return files + [file for inner in below for file in files_in(inner, recursive=True)]


def _is_file(entry):
    try:
        return entry.is_file()
    except OSError:
        return False  # A link that leads to itself.


def in_bundles(items, most):
    """Lists of up to `most` items, in their order; an item is taken no earlier than its list is wanted."""
    items = iter(items)
    while bundle := list(islice(items, most)):
        yield bundle


def _files(path, is_wanted, recursive):
    """(file, where it stands in the folder of results) of what an input stands for."""
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
        return 0  # What is wrong with it is said when it is read.
