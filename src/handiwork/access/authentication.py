"""Who sends a request, told by its key or token. Which requests must carry one is decided by the server."""

from handiwork.access.keys import KEY_PREFIX, Keys
from handiwork.access.policy import Caller
from handiwork.access.tokens import TOKEN_PREFIX, Tokens
from handiwork.clock import Clock, utc_now
from handiwork.errors import NotAuthenticated

_SCHEME = "bearer "


class Authenticator:
    """One door for keys and tokens."""

    def __init__(self, keys: Keys, tokens: Tokens, *, clock: Clock = utc_now) -> None:
        self._keys, self._tokens, self._clock = keys, tokens, clock

    async def authenticate(self, credentials: str | None) -> Caller:
        """Return the caller behind the value of an `Authorization` header, or behind a bare key or token.

        Raises:
            NotAuthenticated: there is none, or it is not valid, or not any more.
        """
        spelled = credentials or ""
        if spelled[: len(_SCHEME)].lower() == _SCHEME:
            spelled = spelled[len(_SCHEME) :].strip(" ")
        if spelled.startswith(TOKEN_PREFIX):
            return await self._tokens.authenticate(spelled)
        if spelled.startswith(KEY_PREFIX):
            return await self._keys.authenticate(spelled)
        raise NotAuthenticated

    async def confirm(self, caller: Caller) -> None:
        """Look again whether a caller who was recognised before still is: a stream outlives the key that opened it.

        Raises:
            NotAuthenticated: the token or key has ended since.
        """
        if caller.is_over_at(self._clock()) or not await self._keys.vouch_for(caller):
            raise NotAuthenticated
