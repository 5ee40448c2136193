"""`ddcodec completion`: the script that completes commands, options and files in a shell."""

import click

from .help import Command


@click.command(
    cls=Command,
    short_help="Print a script that completes commands in a shell.",
    epilog="""\b
Where to put it, once:
  bash  ~/.local/share/bash-completion/completions/ddcodec, which the package bash-completion loads;
        without it, write eval "$(ddcodec completion bash)" in ~/.bashrc
  zsh   a file named _ddcodec in a folder of $fpath; or write eval "$(ddcodec completion zsh)"
        in ~/.zshrc, behind compinit
  fish  ~/.config/fish/completions/ddcodec.fish

\b
Examples:
  ddcodec completion bash > ~/.local/share/bash-completion/completions/ddcodec
  ddcodec completion zsh > ~/.zfunc/_ddcodec
  ddcodec completion fish > ~/.config/fish/completions/ddcodec.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.pass_context
def completion(ctx, shell):
    """Print the script that completes ddcodec's commands, options and files in SHELL: bash (4.4 or newer), zsh or fish.

    The script asks the command itself, so that it needs no renewal after an update. New shells have it; an open one does not.
    """
    from click.shell_completion import get_completion_class

    group = ctx.find_root().command
    click.echo(get_completion_class(shell)(group, {}, "ddcodec", "_DDCODEC_COMPLETE").source(), nl=False)
