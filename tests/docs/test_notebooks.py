"""The notebooks: valid, without outputs, and run from the first cell to the last they print what they promise."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

# What the cells print, one after the other; those that print nothing are left out.
PRINTED = {
    "collector": """
code iter1-block1.py 87
code iter1-block2.py 14
markdown iter1-fibonacci.md 232
['iter3-block2.py']
[+] code     iter1-block1.py
[+] code     iter1-block2.py
[+] markdown iter1-fibonacci.md
[('table', 'numbers.csv', {'rows': 1}), ('file', 'notes.md', {})]
iter1-block1.py-2.json
iter1-block1.py-3.json
iter1-block1.py.json
iter1-block2.py.json
iter1-fibonacci.md.json
3 ['on_add', 'persist']
('code', 'iter1-block1.py') ('code', 'iter1-block2.py') ('markdown', 'Fibonacci')
""",
    "tour": """
[+] code     iter1-block1.py
1 there is no example yet
[+] code     iter2-block2.py
[+] answer   iter2-answer.md
2 shown
completed - All criteria are met.
['python.csv', 'sh.csv', 'sql.csv']
['python', 'sh', 'sql']
Keep `sh`: nothing is shorter.
['answer']
completed ['Notes.md', 'iter1-block1.py', 'iter1-answer.md']
['Notes.md', 'iter1-answer.md', 'iter1-block1.py']
""",
}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)  # pyright: ignore[reportUnknownMemberType]  # no types


def test_there_is_a_promise_for_each_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(PRINTED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_holds_no_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)  # pyright: ignore[reportUnknownMemberType]  # no types
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}


@pytest.mark.linux
@pytest.mark.timeout(180)  # a kernel of its own takes its time to start
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_promises(path: Path, tmp_path: Path) -> None:
    notebook = read(path)
    NotebookClient(notebook, timeout=150, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert {output.output_type for output in outputs} == {"stream"}
    # What is logged on the way goes to the other stream.
    printed = [output.text for output in outputs if output.name == "stdout"]
    assert "".join(printed) == PRINTED[path.stem].lstrip()
