"""Why what is encrypted cannot be opened. No error here holds a key, only its fingerprint, which tells nothing of it.

Where keys come from is known to `store.key_file`.
"""

from handiwork.errors.root import HandiworkError


class EncryptionKeyMissing(HandiworkError):
    """The store is encrypted, and no key was given."""

    code = "encryption_key_missing"

    def __init__(self, fingerprint: str) -> None:
        super().__init__(f"The store is encrypted under the key `{fingerprint}`, and none is configured.")
        self.fingerprint = fingerprint
        self.hint = "Name the file of that key in `artifacts.storage.encryption.key_file`."


class EncryptionKeyWrong(HandiworkError):
    """The store is encrypted under a key that is none of those that were given."""

    code = "encryption_key_wrong"

    def __init__(self, fingerprint: str, *, given: tuple[str, ...]) -> None:
        had = ", ".join(f"`{each}`" for each in given)
        super().__init__(f"The store is encrypted under the key `{fingerprint}`; the configured keys are {had}.")
        self.fingerprint, self.given = fingerprint, given
        self.hint = (
            "Name the file of that key in `artifacts.storage.encryption.key_file`, "
            "or in `previous` beside it when the key was changed."
        )


class EncryptionChanged(HandiworkError):
    """Another process has turned encryption on, or changed its key, since this one opened the store."""

    code = "encryption_changed"

    def __init__(self, generation: str) -> None:
        super().__init__(f"What is asked for was encrypted under the generation `{generation}`, which is new here.")
        self.generation = generation
        self.hint = "Restart this process with the encryption settings that the others have."
