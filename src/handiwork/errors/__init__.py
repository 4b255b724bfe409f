"""Every error of Handiwork, each built from facts. How a transport spells them is not decided here.

`code` is stable and for programs, the message is for people and models, `hint` names the next step.
"""

from handiwork.errors.actions import (
    ActionDecided,
    ActionImpossible,
    ActionNotFound,
    ActionStale,
    ActionVoid,
    IdempotencyKeyReused,
)
from handiwork.errors.artifacts import (
    ArtifactExpired,
    ArtifactHeld,
    ArtifactNotFound,
    CursorTooOld,
    ExecutionNotFound,
    HandleTaken,
    VersionNotFound,
)
from handiwork.errors.asking import (
    ContentTooLarge,
    InputNotFound,
    InvalidContent,
    InvalidLimit,
    InvalidName,
    InvalidSetting,
    LimitExceeded,
    ProducingDisabled,
    QuotaExceeded,
    UnknownType,
    UnsupportedFormat,
)
from handiwork.errors.callers import (
    ApprovalNeeded,
    KeyNotFound,
    LinkInvalid,
    NotAllowed,
    NotAuthenticated,
    ScopeErased,
    SessionNotFound,
    TookTooLong,
)
from handiwork.errors.changes import HeadMoved, IllegalTransition, MarksMoved, VersionConflict
from handiwork.errors.contents import ContentRefused, InvalidType, NotCollected
from handiwork.errors.encryption import EncryptionChanged, EncryptionKeyMissing, EncryptionKeyWrong
from handiwork.errors.exports import ExportInvalid
from handiwork.errors.host import (
    BlobExists,
    BlobNotFound,
    ContentDamaged,
    EngineClosed,
    ExtraMissing,
    IsolationUnavailable,
    QueueFull,
    RuntimeMissing,
    SandboxBroken,
    ShuttingDown,
    StorageFailed,
    StorageFull,
    StoreVersionMismatch,
)
from handiwork.errors.patches import EditMissed, OperationFailed, PatchRefused
from handiwork.errors.remote import ConnectionBroken, RequestRefused, ServerUnreachable, UnexpectedAnswer
from handiwork.errors.root import HandiworkError
from handiwork.errors.running import LoopRunning, ModelUnusable
from handiwork.errors.selectors import SelectorMisfit, SelectorRefused
from handiwork.errors.tool_results import AlreadyPromoted, ToolResultNotFound
from handiwork.errors.tools import InvalidTool

__all__ = [
    "ActionDecided",
    "ActionImpossible",
    "ActionNotFound",
    "ActionStale",
    "ActionVoid",
    "AlreadyPromoted",
    "ApprovalNeeded",
    "ArtifactExpired",
    "ArtifactHeld",
    "ArtifactNotFound",
    "BlobExists",
    "BlobNotFound",
    "ConnectionBroken",
    "ContentDamaged",
    "ContentRefused",
    "ContentTooLarge",
    "CursorTooOld",
    "EditMissed",
    "EncryptionChanged",
    "EncryptionKeyMissing",
    "EncryptionKeyWrong",
    "EngineClosed",
    "ExecutionNotFound",
    "ExportInvalid",
    "ExtraMissing",
    "HandiworkError",
    "HandleTaken",
    "HeadMoved",
    "IdempotencyKeyReused",
    "IllegalTransition",
    "InputNotFound",
    "InvalidContent",
    "InvalidLimit",
    "InvalidName",
    "InvalidSetting",
    "InvalidTool",
    "InvalidType",
    "IsolationUnavailable",
    "KeyNotFound",
    "LimitExceeded",
    "LinkInvalid",
    "LoopRunning",
    "MarksMoved",
    "ModelUnusable",
    "NotAllowed",
    "NotAuthenticated",
    "NotCollected",
    "OperationFailed",
    "PatchRefused",
    "ProducingDisabled",
    "QueueFull",
    "QuotaExceeded",
    "RequestRefused",
    "RuntimeMissing",
    "SandboxBroken",
    "ScopeErased",
    "SelectorMisfit",
    "SelectorRefused",
    "ServerUnreachable",
    "SessionNotFound",
    "ShuttingDown",
    "StorageFailed",
    "StorageFull",
    "StoreVersionMismatch",
    "TookTooLong",
    "ToolResultNotFound",
    "UnexpectedAnswer",
    "UnknownType",
    "UnsupportedFormat",
    "VersionConflict",
    "VersionNotFound",
]
