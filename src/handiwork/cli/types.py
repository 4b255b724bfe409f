"""The command `types`: what an artifact can be. The types are declared elsewhere."""

from handiwork import wiring
from handiwork.cli.failures import DONE
from handiwork.cli.printing import print_json, print_table, results, size
from handiwork.settings import load
from handiwork.types.described import describe


def run(*, as_json: bool) -> int:
    known = wiring.registry(load())
    if as_json:
        print_json({"items": [describe(each) for each in known]})
        return DONE
    rows = [(each.name, each.label, each.display, size(each.cap_bytes)) for each in known]
    print_table(results(), "", ("type", "label", "shown", "at most"), rows, right=("at most",))
    return DONE
