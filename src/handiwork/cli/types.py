"""The command `types`: what an artifact can be. The types are declared elsewhere."""

from handiwork import wiring
from handiwork.cli.failures import DONE
from handiwork.cli.printing import print_json, print_table, results, size
from handiwork.settings import load


def run(*, as_json: bool) -> int:
    known = wiring.types(load())
    if as_json:
        shapes = [
            {
                "name": each.name,
                "label": each.label,
                "icon": each.icon,
                "display": each.display,
                "streaming": each.is_streamed,
                "cap": each.cap_bytes,
            }
            for each in known
        ]
        print_json({"items": shapes})
        return DONE
    rows = [(each.name, each.label, each.display, size(each.cap_bytes)) for each in known]
    print_table(results(), "", ("type", "label", "shown", "at most"), rows, right=("at most",))
    return DONE
