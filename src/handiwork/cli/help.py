"""How `--help` looks, and in which order it lists the commands. What the commands are is in `app`."""

import click


class Formatter(click.HelpFormatter):
    """Help with bold headings; click drops the style where the output is no terminal."""

    def write_heading(self, heading: str) -> None:
        super().write_heading(click.style(heading, bold=True))


class HelpContext(click.Context):
    formatter_class = Formatter


class Command(click.Command):
    context_class = HelpContext


class Commands(click.Group):
    """A group that lists its commands in the order in which they were declared."""

    context_class = HelpContext
    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)
