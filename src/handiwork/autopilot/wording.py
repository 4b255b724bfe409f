"""What a model is told of its goal, and of what is missing yet. What it makes of it is its own affair."""

from collections.abc import Sequence

from handiwork.autopilot.goal import Goal
from handiwork.autopilot.result import Judged

INSTRUCTIONS = """\
You pursue a goal until it is reached. Use the tools that you have; do not ask back, since nobody answers.
Put code into fenced blocks with the name of its language, and a document into Markdown that begins with a heading.
Each of your outputs replaces the one before: give the whole of it, never a part or a promise.
"""


def beginning(goal: Goal) -> str:
    """Return what is asked first."""
    criteria = [f"- {criterion}" for criterion in goal.success_criteria]
    return "\n".join([goal.objective, *(["", "It is reached when:", *criteria] if criteria else [])])


def going_on(judged: Sequence[Judged]) -> str:
    """Return what is asked when criteria are not met yet."""
    missing = [f"- {each.criterion}: {each.reason or 'not shown'}" for each in judged if not each.is_met]
    return "\n".join(["This is not met yet:", *missing, "Mend it, and give the whole output again."])
