"""What a shell is offered for a value while it is typed: names, and the files that a command takes."""

import os

from click.shell_completion import CompletionItem

PATH = "path"
"""The type of an offered file or folder in the scripts of `completion`."""


def names(names_of):
    """A `shell_complete` for one of what `names_of()` gives; nothing is imported before it is asked."""
    return lambda ctx, param, incomplete: [CompletionItem(name) for name in names_of() if name.startswith(incomplete)]


def lists(names_of):
    """The same for several with commas between."""

    def complete(ctx, param, incomplete):
        before, comma, last = incomplete.rpartition(",")
        return [
            CompletionItem(before + comma + name)
            for name in names_of()
            if name.startswith(last) and name not in before.split(",")
        ]

    return complete


def files(wants):
    """A `shell_complete` for files whose name one `wants`, and for folders, which end in a slash. Hidden ones only if
    that is how they begin.
    """

    def complete(ctx, param, incomplete):
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


def is_ddc_name(path):
    return path.lower().endswith(".ddc")


def is_picture_name(path):
    from ..pictures.kinds import is_picture_name

    return is_picture_name(path)


def is_either_name(path):
    return is_ddc_name(path) or is_picture_name(path)


def devices():
    return "auto", "cpu", "cuda"


def profiles():
    from ..presets import PROFILES

    return PROFILES


def bases():
    from ..presets import BASE_CHOICES

    return BASE_CHOICES


def tasks():
    from ..restoration.settings import tasks

    return tasks()


def tasks_before_encode():
    return [task for task in tasks() if task != "superres"]


def priors():
    from ..restoration.settings import priors

    return priors()


def codecs():
    from ..benchmark.peers import NAMES

    own = [f"{name}:e{effort}" for name in ("ddc", "ddc:classic") for effort in range(1, 10)]
    return ["all", *NAMES, "ddc", "ddc:classic", *own]
