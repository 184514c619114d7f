"""The entry point of `chatlab`. Before any other import it gives SIGINT its default action, so that
Ctrl-C during start-up ends the process without a traceback.

Python raises KeyboardInterrupt wherever it is, and no handler exists while modules are imported or
the interpreter shuts down. So the default action is active until `lab.cli` is ready, and again once
it has finished. A shell sees exit code 130 in any case.
"""

import signal
import sys


def main() -> int:
    hears = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored
    if hears:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from lab.cli import main as run
    except (ImportError, AttributeError) as error:
        from lab.terminal.shadows import shadowing

        if (told := shadowing(error)) is None:
            raise
        print(f"chatlab: {told}", file=sys.stderr)
        return 2

    try:
        try:
            if hears:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            return run()
        finally:
            if hears:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:  # between two lines of this function
        return 130


if __name__ == "__main__":
    sys.exit(main())
