"""Give a program a file of the host, and a later program what the first one made."""

import asyncio
import sys
from pathlib import Path

import handiwork

CLEAN = """
import pandas as pd

orders = pd.read_csv("orders.csv").dropna()
orders.groupby("customer", as_index=False)["amount"].sum().to_csv("totals.csv", index=False)
"""

REPORT = """
import pandas as pd

totals = pd.read_csv("totals.csv").sort_values("amount", ascending=False)
with open("report.md", "w") as report:
    report.write("# Best customers\\n\\n" + totals.to_markdown(index=False) + "\\n")
"""


async def main(folder: Path) -> None:
    orders = folder / "orders.csv"
    orders.write_text("customer,amount\nAda,12.5\nBo,20\nAda,\nBo,4.5\nCy,7\n", encoding="utf-8")
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("hand-on", user="ada")
        cleaned = await session.run(CLEAN, inputs=[orders])
        totals = cleaned.artifacts[0]
        reported = await session.run(REPORT, inputs=[totals.handle])
        report = reported.artifacts[0]
        print((await session.read(report.id)).decode())
        print(report.name, "comes from", totals.name, totals.id in report.version.provenance.inputs[0])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
