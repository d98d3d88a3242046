"""The paper's experiment at the preset ``small``: ``make bench NAME=paper_small``.

Does the parts that ``benchmarks/results/paper-small/`` does not hold yet, and writes ``benchmarks/results/paper-small.json`` from all there
are. Each part is one file there, to be committed as it comes; models and run folders go to ``work/paper-small`` and are made again where they
are gone. ``ARGS="--only 'ablation/*'"`` does some parts only; several at a time share the work.
"""

import shutil
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).with_name("results") / "paper-small.json"
WORK = Path("work/paper-small")


def main() -> int:
    """Run the experiment and keep its document, of an interrupted one too; give its exit code."""
    program = Path(sys.executable).with_name("saywhat")
    places = ["--out", str(WORK), "--parts", str(RESULTS.with_suffix(""))]
    done = subprocess.run([program, "experiment", "small", *places, *sys.argv[1:]], check=False)
    shutil.copyfile(WORK / "results.json", RESULTS)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
