"""Where `chatlab` begins: before anything else is imported, Ctrl-C ends it without a word.

Python raises KeyboardInterrupt wherever it is, and while modules are being imported, or the
interpreter ends, nobody is there to catch it. So the default action of the system is set until
`lab.cli` is ready, and again once it is done. A shell sees 130 either way.
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
