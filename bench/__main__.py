"""`python -m bench` runs every bench of this folder, `python -m bench NAME …` one of them; figures for docs/performance.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run what is asked for, each in a process of its own; the highest exit code."""
    known = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    wanted = sys.argv[1:2] or known
    if unknown := [name for name in wanted if name not in known]:
        print(f"There is no bench {', '.join(unknown)}. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    worst = 0
    for name in wanted:
        command = [sys.executable, "-m", f"bench.{name}", *sys.argv[2:]]
        print(f"\n### `{' '.join(['python', *command[1:]])}`\n", flush=True)
        worst = max(worst, abs(subprocess.run(command, cwd=HERE.parent, check=False).returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main())
