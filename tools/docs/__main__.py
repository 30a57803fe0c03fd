"""``python -m tools.docs write | build | pictures``."""

from __future__ import annotations

import sys
from pathlib import Path

from . import build, generated, pictures

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Run a command, and return the exit code."""
    if arguments == ["write"]:
        for name in generated.write(ROOT):
            print(name)
    elif arguments == ["build"]:
        folder = build.build(ROOT, ROOT / "build" / "site")
        print(f"{folder / 'index.html'}")
    elif arguments == ["pictures"]:
        for path in pictures.draw(ROOT / "docs" / "images"):
            print(path)
    else:
        print("usage: python -m tools.docs write | build | pictures", file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
