"""What a tool has answered is not there, or has become an artifact already.

What is wrong with the answer as content of a type is in `contents`.
"""

from handiwork.errors.root import HandiworkError


class ToolResultNotFound(HandiworkError):
    """The session has no successful result of this tool call, or none any more."""

    code = "tool_result_not_found"

    def __init__(self, tool_call_id: str, *, failed: int) -> None:
        known = f"; {failed:,} that failed are kept" if failed else ""
        super().__init__(f"No successful result of the tool call `{tool_call_id}` in this session{known}.")
        self.tool_call_id, self.failed = tool_call_id, failed
        self.hint = (
            "Call the tool again and record what it answers; results are kept for 30 minutes, or as long as `ttl` says."
        )


class AlreadyPromoted(HandiworkError):
    """The result of this tool call has become an artifact of this type before; nothing was stored."""

    code = "already_promoted"

    def __init__(self, tool_call_id: str, *, artifact_type: str, artifact_id: str) -> None:
        super().__init__(f"The result of the tool call `{tool_call_id}` is the `{artifact_type}` `{artifact_id}`.")
        self.tool_call_id, self.artifact_type, self.artifact_id = tool_call_id, artifact_type, artifact_id
        self.hint = "Read that artifact, or revise it."
