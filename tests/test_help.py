"""Help in two lengths, options in any place and spelling, completion in a shell, and the pages of the commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import make_commands
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import ddcodec as package
from ddcodec.cli import cli
from ddcodec.cli.help import Command, Expert
from ddcodec.cli.talk import Talk

ROOT = Path(package.__file__).parents[1]
NAMES = list(cli.commands)


def ddcodec(*args):
    return CliRunner().invoke(cli, args, prog_name="ddcodec")


def names_of(kind, command):
    return [
        option.opts[-1]
        for option in cli.commands[command].params
        if isinstance(option, click.Option) and isinstance(option, Expert) is kind
    ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["encode", "--help"], ["completion", "bash"]])
def test_a_full_disk_is_a_sentence(words):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "ddcodec", *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert (result.returncode, result.stderr) == (6, "Error: Standard output cannot be written: no space is left.\n")


@pytest.mark.parametrize("command", NAMES)
def test_help_shows_the_basic_options_and_help_all_the_rest(command):
    assert isinstance(cli.commands[command], Command), "Define it with cls=Command."
    short, long = ddcodec(command, "--help"), ddcodec(command, "--help-all")
    assert (short.exit_code, long.exit_code, short.stderr + long.stderr) == (0, 0, "")
    basic, expert = names_of(False, command), names_of(True, command)
    assert all(name in short.stdout and name in long.stdout for name in basic)
    for name in expert:
        assert (
            f"{name} " not in short.stdout.split("Examples:")[0]
            and f"  {name} " in long.stdout.split("More options:")[1]
        )
    assert ("More options: --help-all." in short.stdout) == bool(expert)
    assert ddcodec(command, "--help_all").stdout == long.stdout


def test_what_is_basic_in_encode():
    """Whoever wants a smaller file or a quicker one finds it in one screen; research and machines are for
    --help-all.
    """
    assert {"--output", "--force", "--quality", "--target-size", "--effort", "--time-limit"} <= set(
        names_of(False, "encode")
    )
    assert {"--lambda", "--iterations", "--profile", "--base", "--device", "--threads", "--seed"} <= set(
        names_of(True, "encode")
    )


@pytest.mark.parametrize("command", NAMES)
def test_underscores_are_hyphens(command):
    for name in names_of(False, command) + names_of(True, command):
        said = ddcodec(command, "--" + name[2:].replace("-", "_")).stderr
        assert "No such option" not in said, name
    assert "No such option" in ddcodec(command, "--no_such_option").stderr


@pytest.mark.parametrize("command", [name for name in NAMES if name != "completion"])
def test_options_may_stand_behind_arguments(command):
    """An option without its value is missed wherever it stands: nobody takes it for a file."""
    valued = next(
        name
        for name in [*names_of(False, command), *names_of(True, command), None]
        if name is None or takes_value(command, name)
    )
    if valued is None:
        return assert_flag_is_seen(command)
    for words in ["a.png", "b.png", valued], [valued, "1", "a.png", valued]:
        result = ddcodec(command, *words)
        assert result.exit_code == 2 and f"Option '{valued}' requires an argument." in result.stderr


def takes_value(command, name):
    return not next(option for option in cli.commands[command].params if name in option.opts).is_flag


def assert_flag_is_seen(command):
    assert ddcodec(command, "none.ddc", "--json").stdout.startswith('{"schema"')


@pytest.mark.parametrize(
    "line", ["encode a.png", "restore a.png --task denoise", "bench-restore . --task denoise -o rows.tsv"]
)
def test_what_steers_a_fit_is_the_same_everywhere(line):
    command, *words = line.split()
    params = cli.commands[command].make_context(command, words, obj=Talk()).params
    assert [params[name] for name in ("effort", "iterations", "time_limit", "device", "threads")] == [
        5,
        None,
        None,
        "auto",
        None,
    ]
    assert params.get("seed") == (None if command == "bench-restore" else 0)


@pytest.fixture
def environment(tmp_path):
    """That of a shell which finds this very command."""
    program = tmp_path / "bin" / "ddcodec"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ddcodec "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes(tmp_path, environment):
    """What bash offers for a line, after the script has been sourced."""

    def offered(*words):
        line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}"
        function = "$(complete -p ddcodec | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
        script = f'source <(ddcodec completion bash); {line}; {function} ddcodec; echo "${{COMPREPLY[@]}}"'
        result = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout.split()

    assert offered("ddcodec", "enc") == ["encode"]
    assert offered("ddcodec", "encode", "--iter") == ["--iterations"]
    (tmp_path / "a, b.ddc").touch()
    assert " ".join(offered("ddcodec", "decode", f"{tmp_path}/a")) == f"{tmp_path}/a, b.ddc"


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
def test_fish_completes(tmp_path, environment):
    (tmp_path / "a, b.ddc").touch()
    (tmp_path / "a").mkdir()
    script = f'ddcodec completion fish | source; complete -C "ddcodec decode {tmp_path}/a"'
    result = subprocess.run(["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True)
    assert sorted(result.stdout.splitlines()) == [f"{tmp_path}/a, b.ddc", f"{tmp_path}/a/"], result.stderr


@pytest.mark.parametrize(
    "shell, word", [("zsh", "#compdef ddcodec"), ("fish", "complete --no-files --command ddcodec")]
)
def test_other_shells_get_their_script(shell, word, monkeypatch):
    result = ddcodec("completion", shell)
    assert (
        result.exit_code == 0 and word in result.stdout and "_DDCODEC_COMPLETE" in result.stdout and not result.stderr
    )
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=result.stdout, text=True).returncode == 0
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert ddcodec("completion").stdout == result.stdout
    for name, said in ("/bin/tcsh", "; $SHELL is tcsh."), ("", "; $SHELL says nothing."):
        monkeypatch.setenv("SHELL", name)
        result = ddcodec("completion")
        assert (result.exit_code, result.stderr) == (2, f"Error: Name the shell: bash, zsh or fish{said}\n")


def offers_for(*words):
    """What a shell is offered for the last of some words."""
    return [item.value for item in ShellComplete(cli, {}, "ddcodec", "_").get_completions(list(words[:-1]), words[-1])]


def test_values_are_offered():
    """Each that is offered is one that the command takes: the refusals name them all."""
    for words, value in [
        (("restore", "--task"), "superres"),
        (("encode", "--restore"), "inpaint"),
        (("bench-restore", "--task"), "dejpeg"),
        (("restore", "--prior"), "dip-narrow"),
        (("encode", "--profile"), "classic"),
        (("encode", "--base"), "none"),
        (("encode", "--device"), "cuda"),
        (("bench", "--codecs"), "jpeg:444"),
        (("bench", "--anchor"), "ddc:classic:e9"),
        (("decode", "--scale"), "1/4"),
        (("decode", "--metadata"), "icc"),
    ]:
        assert value in offers_for(*words, "") and offers_for(*words, value) == [value], words
    assert "superres" not in offers_for("encode", "--restore", "")
    assert offers_for("bench", "--codecs", "jpeg,web") == ["jpeg,webp"] and offers_for(
        "decode", "--metadata", "icc,"
    ) == ["icc,all", "icc,none", "icc,color", "icc,exif", "icc,xmp", "icc,resolution"]
    for words, refusal in [
        (("encode", "--base"), ["encode", "a.png", "--base", "x"]),
        (("encode", "--profile"), ["encode", "a.png", "--profile", "x"]),
        (("restore", "--task"), ["restore", "a.png", "-o", "b.png", "--task", "x"]),
        (("restore", "--prior"), ["restore", "a.png", "-o", "b.png", "--task", "denoise", "--prior", "x"]),
    ]:
        assert ddcodec(*refusal).stderr.rstrip(".\n").split("choose one of: ")[1].split(", ") == offers_for(*words, "")


def test_files_are_offered_by_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "a.ddc", "b c.DDC", "x.png", "y.JPG", "z.txt", ".hidden.ddc", "sub/in.ddc", "sub/in.png":
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    for command in "decode", "info", "verify", "view":
        assert offers_for(command, "") == ["a.ddc", "b c.DDC", "sub/"]
    assert (
        offers_for("encode", "") == offers_for("restore", "") == offers_for("bench", "") == ["sub/", "x.png", "y.JPG"]
    )
    assert (
        offers_for("view", "a.ddc", "") == offers_for("compare", "") == ["a.ddc", "b c.DDC", "sub/", "x.png", "y.JPG"]
    )
    assert (
        offers_for("decode", "sub/i") == ["sub/in.ddc"]
        and offers_for("decode", ".") == [".hidden.ddc"]
        and offers_for("decode", "none/x") == []
    )


@pytest.mark.parametrize("command", NAMES)
def test_help_fits_into_a_terminal(command, monkeypatch):
    """All but command lines, which are to be copied."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line for line in ddcodec(command, "--help-all").stdout.splitlines() if not line.startswith("    ddcodec ")]
    assert max(map(len, lines)) <= 80


def test_pages_are_those_of_the_definitions():
    written = {path.name: path.read_text("utf-8") for path in make_commands.FOLDER.iterdir()}
    assert written == make_commands.pages(), "Run: python docs/make_commands.py"


@pytest.mark.parametrize("command", NAMES)
def test_a_page_has_all_options_and_examples(command):
    page = (make_commands.FOLDER / f"{command}.md").read_text("utf-8")
    assert all(name in page for name in names_of(False, command) + names_of(True, command))
    examples = [line for line in ddcodec(command, "--help").stdout.splitlines() if line.startswith("    ddcodec ")]
    assert examples and all(line in page.splitlines() for line in examples)
