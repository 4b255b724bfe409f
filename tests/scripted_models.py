"""Models of pydantic-ai that say what a test has written down, and judge as it says. Nothing is asserted here."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

Said = str | tuple[str, dict[str, Any]] | Exception


def call(tool: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """What a model says when it calls a tool."""
    return tool, arguments


class Script:
    """A model that says one thing after the other: a text, a call of a tool, or a failure; the last one for ever.

    `verdicts` are what it says as a judge, one list of truth values for each time that it is asked.
    """

    def __init__(self, *said: Said, verdicts: Iterable[Sequence[bool]] = ()) -> None:
        self._said, self._verdicts = list(said), list(verdicts)
        self.asked: list[str] = []
        self.tools: list[str] = []
        self.model = FunctionModel(self._answer)

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.append(str(messages[-1]))
        if info.output_tools:
            values = self._verdicts.pop(0) if len(self._verdicts) > 1 else self._verdicts[0]
            told = [{"criterion": n, "is_met": value, "reason": f"r{n}"} for n, value in enumerate(values, 1)]
            return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {"verdicts": told})])
        self.tools = [tool.name for tool in info.function_tools]
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        match said:
            case Exception():
                raise said
            case str():
                return ModelResponse(parts=[TextPart(said)])
            case _:
                return ModelResponse(parts=[ToolCallPart(said[0], said[1])])
