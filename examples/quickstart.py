"""Run a program, look at what it made, and write the files to a folder."""

import sys
from pathlib import Path

import handiwork

CODE = """
import matplotlib.pyplot as plt
import pandas as pd

sales = pd.DataFrame({"region": ["North", "South", "West"], "sales": [120, 95, 143]})
sales.to_csv("sales.csv", index=False)
sales.plot.bar(x="region", y="sales", title="Sales by region")
plt.savefig("sales.png")
print("total:", sales["sales"].sum())
"""


def main(folder: Path) -> None:
    with handiwork.open_sync(folder / "store") as engine:
        session = engine.session("quickstart")
        run = session.run(CODE)
        print(run.status, "-", run.stdout.strip())
        for artifact in run.artifacts:
            (folder / artifact.name).write_bytes(session.read(artifact.id))
            print(artifact.name, artifact.media_type, artifact.category)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
