"""Pack the deliverables into one ZIP, in folders, with a list of what is inside."""

import hashlib
import zipfile
from pathlib import Path

FOLDERS = {".png": "pictures", ".jpg": "pictures", ".svg": "pictures", ".csv": "data", ".xlsx": "data", ".py": "code"}
# A fixed date keeps the bundle the same, byte for byte, when its files are the same.
DATE = (2016, 1, 1, 0, 0, 0)


def add(bundle, name, content):
    entry = zipfile.ZipInfo(name, DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    bundle.writestr(entry, content)


files = sorted(path for path in Path("inputs").iterdir() if path.is_file() and path.suffix != ".zip")
if not files:
    raise SystemExit("Nothing to pack: inputs/ is empty")

lines = ["When to work outdoors: the deliverables", "", f"{'Bytes':>10}  {'SHA-256':<64}  File"]
with zipfile.ZipFile("season-bundle.zip", "w") as bundle:
    for path in files:
        content = path.read_bytes()
        name = f"{FOLDERS.get(path.suffix, 'documents')}/{path.name}"
        add(bundle, name, content)
        lines.append(f"{len(content):>10,}  {hashlib.sha256(content).hexdigest()}  {name}")
    add(bundle, "CONTENTS.txt", "\n".join(lines) + "\n")

with zipfile.ZipFile("season-bundle.zip") as bundle:
    damaged = bundle.testzip()
    if damaged:
        raise SystemExit(f"season-bundle.zip: {damaged} is damaged")
size = Path("season-bundle.zip").stat().st_size
print(f"season-bundle.zip: {len(files)} files, {size:,} bytes")
