"""`ddcodec completion`: the script that completes commands, options and files in a shell."""

import os
from typing import Any

import click

from ..errors import UsageError
from .help import Command

SHELLS = ("bash", "zsh", "fish")
SCRIPTS = {
    "bash": r"""%(complete_func)s() {
    local IFS=$'\n' response completion type value
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete $1)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            plain) COMPREPLY+=("$value") ;;
            path) COMPREPLY+=("${value%%/}"); compopt -o filenames 2> /dev/null ;;
            dir) COMPREPLY=(); compopt -o dirnames 2> /dev/null ;;
            file) COMPREPLY=(); compopt -o default 2> /dev/null ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
""",
    "zsh": r"""#compdef %(prog_name)s

%(complete_func)s() {
    local -a response plain described paths folders
    local type key descr
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
        %(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key descr in ${response}; do
        case $type in
            plain) if [[ $descr == _ ]]; then plain+=("$key"); else described+=("${key//:/\\:}:$descr"); fi ;;
            path) if [[ $key == */ ]]; then folders+=("$key"); else paths+=("$key"); fi ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    (( $#folders )) && compadd -U -f -S '' -a folders
    (( $#paths )) && compadd -U -f -a paths
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
""",
    "fish": r"""function %(complete_func)s
    for completion in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
        COMP_CWORD=(commandline -t) %(prog_name)s)
        set -l metadata (string split --max 1 "," -- $completion)
        switch $metadata[1]
            case dir
                __fish_complete_directories $metadata[2]
            case file
                __fish_complete_path $metadata[2]
            case plain path
                echo $metadata[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
""",
}
"""Shell -> its script: click's own, but with files that the command itself offers (`offers.PATH`)."""


@click.command(
    cls=Command,
    short_help="Print a script that completes commands in a shell.",
    epilog="""\b
Where to put it, once:
  bash  ~/.local/share/bash-completion/completions/ddcodec, which the package
        bash-completion loads; without it, in ~/.bashrc:
        eval "$(ddcodec completion bash)"
  zsh   a file named _ddcodec in a folder of $fpath; or in ~/.zshrc, behind
        compinit: eval "$(ddcodec completion zsh)"
  fish  ~/.config/fish/completions/ddcodec.fish

\b
Examples:
  ddcodec completion bash > ~/.local/share/bash-completion/completions/ddcodec
  ddcodec completion zsh > ~/.zfunc/_ddcodec
  ddcodec completion fish > ~/.config/fish/completions/ddcodec.fish""",
)
@click.argument("shell", required=False, type=click.Choice(SHELLS), metavar="[SHELL]")
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the script that completes ddcodec's commands, options and files in SHELL: bash (4.4 or newer), zsh or fish.
    Without it, in that of $SHELL.

    The script asks the command itself, so that it needs no renewal after an update. New shells have it; an open one
    does not.
    """
    from click.shell_completion import get_completion_class

    shell = shell or _own_shell()
    kind: Any = get_completion_class(shell)
    complete = kind(ctx.find_root().command, {}, "ddcodec", "_DDCODEC_COMPLETE")
    complete.source_template = SCRIPTS[shell]
    click.echo(complete.source(), nl=False)


def _own_shell() -> str:
    name = os.path.basename(os.environ.get("SHELL", ""))
    if name not in SHELLS:
        raise UsageError(
            f"Name the shell: {', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
            + (f"; $SHELL is {name}." if name else "; $SHELL says nothing.")
        )
    return name
