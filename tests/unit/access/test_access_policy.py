import pytest

from handiwork.access.policy import PERMISSIONS, PERMISSIONS_OF, Caller, Permission, local_caller, permissions_for
from handiwork.errors import InvalidName, NotAllowed, SessionNotFound
from handiwork.model import Principal, Reach, Scope
from handiwork.store.key_records import KeyKind

ADMIN = Caller(tenant="acme", user=None, principal=Principal(kind="admin", id="k"), permissions=PERMISSIONS)
ADA = Caller(tenant="acme", user="ada", principal=Principal(kind="user", id="ada"), permissions=PERMISSIONS_OF["user"])
AGENT = Caller(
    tenant="acme",
    user="ada",
    session="s1",
    principal=Principal(kind="agent", id="ada"),
    permissions=PERMISSIONS_OF["agent"],
)


@pytest.mark.parametrize("permission", ["action:execute", "token:create", "admin"])
def test_an_agent_never_holds_what_commits_a_person(permission: Permission) -> None:
    assert permission not in permissions_for("agent")
    assert permissions_for("agent", [permission, "artifact:read"]) == {"artifact:read"}
    with pytest.raises(NotAllowed, match=f"`{permission}`.* agent"):
        AGENT.require(permission)


@pytest.mark.parametrize("permission", ["artifact:read", "artifact:write", "execution:run", "link:create"])
def test_everyone_may_work(permission: Permission) -> None:
    for caller in (ADMIN, ADA, AGENT):
        caller.require(permission)


@pytest.mark.parametrize(("kind", "may"), [("user", False), ("admin", True)])
def test_only_an_admin_administers(kind: KeyKind, may: bool) -> None:
    assert ("admin" in permissions_for(kind)) == may


def test_permissions_that_mean_nothing_are_left_out() -> None:
    assert permissions_for("user", ["artifact:read", "root", ""]) == {"artifact:read"}


def test_a_user_is_in_any_session_of_its_own() -> None:
    assert ADA.scope("s9") == Scope(tenant="acme", user="ada", session="s9")
    assert ADA.scope("s9", user="ada") == Scope(tenant="acme", user="ada", session="s9")


def test_an_agent_is_in_its_session() -> None:
    assert AGENT.scope("s1") == Scope(tenant="acme", user="ada", session="s1")
    assert AGENT.reach == Reach(tenant="acme", user="ada", session="s1")


def test_an_admin_names_any_user_of_its_tenant() -> None:
    assert ADMIN.scope("s1", user="bo") == Scope(tenant="acme", user="bo", session="s1")
    assert ADMIN.reach == Reach(tenant="acme")


def test_an_admin_who_names_no_user_is_asked_for_one() -> None:
    with pytest.raises(InvalidName, match="one user"):
        ADMIN.scope("s1")


@pytest.mark.parametrize(("caller", "session", "user"), [(AGENT, "s2", None), (ADA, "s1", "bo"), (AGENT, "s1", "bo")])
def test_what_is_out_of_reach_answers_like_a_missing_session(caller: Caller, session: str, user: str | None) -> None:
    with pytest.raises(SessionNotFound) as refused:
        caller.scope(session, user=user)
    assert str(refused.value) == f"No session `{session}` here."


def test_another_user_alone_is_a_missing_user() -> None:
    with pytest.raises(SessionNotFound, match="No user `bo` here"):
        ADA.within(user="bo")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, "\ud800"])
def test_names_that_no_session_can_have_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        ADMIN.scope(name, user="ada")
    with pytest.raises(InvalidName):
        ADMIN.scope("s1", user=name)


def test_the_local_user_does_all_but_administer() -> None:
    assert local_caller().permissions == PERMISSIONS - {"admin"}
    assert local_caller().scope("s1") == Scope(session="s1")
