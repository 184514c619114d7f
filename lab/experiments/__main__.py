"""`python -m lab.experiments [NAME] ...`: run an experiment and print its table."""

import importlib
import sys

from lab.experiments import EXPERIMENTS


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in EXPERIMENTS:
        print("usage: python -m lab.experiments NAME [--help]")
        for name, module in EXPERIMENTS.items():
            about = (importlib.import_module(module).__doc__ or "").partition("\n")[0]
            print(f"  {name:<10} {about}")
        return 2 if arguments else 0
    found: int = importlib.import_module(EXPERIMENTS[arguments[0]]).main(arguments[1:])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
