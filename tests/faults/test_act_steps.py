"""What becomes of an action when one step of doing it fails in the database: each in turn, then none."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

import handiwork
from handiwork.types.declaring import ContentModel, artifact_type

STEPS = ("UPDATE ON artifacts", "UPDATE ON actions", "UPDATE ON sessions", "INSERT ON events")


@artifact_type("post", states=("draft", "sent", "thrown"), transitions={"draft": ("sent", "thrown")})
class Post(ContentModel):
    text: str


def ask(data: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(data / "handiwork.db", timeout=5)) as database:
        database.execute(statement)
        database.commit()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("way", ["approve", "act"])
async def test_what_fails_halfway_is_not_done_at_all_and_can_be_done_then(step: str, way: str, tmp_path: Path) -> None:
    if (step, way) == ("UPDATE ON actions", "act"):
        step = "INSERT ON actions"
    async with handiwork.open(tmp_path, types=[Post]) as engine:
        session = engine.session("s")
        made = await session.create("post", content={"text": "a"})
        waiting = await session.as_agent().propose(made.id, "sent" if way == "approve" else "thrown")

        async def go() -> None:
            await (session.approve(waiting.action.id) if way == "approve" else session.act(made.id, "sent"))

        before = await session.list(), await session.actions(made.id)
        ask(tmp_path, f"CREATE TRIGGER fail BEFORE {step} BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(IntegrityError):
            await go()
        assert (await session.list(), await session.actions(made.id)) == before
        ask(tmp_path, "DROP TRIGGER fail")
        await go()
        assert (await session.get(made.id)).state == "sent"
        assert (await session.list()).seq == before[0].seq + 2
