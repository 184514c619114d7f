"""What the system refused, in one line for a person: what, where, and what to do about it."""

import errno
import os

# By errno: what helps, in most cases.
_HELP = {
    errno.ENOSPC: "free some room",
    errno.EDQUOT: "free some room, or raise the quota",
    errno.EFBIG: "raise the limit of a file's size",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "the whole system has too many files open: close some",
    errno.ENOMEM: "free some memory",
    errno.EAGAIN: "raise the limit of processes: ulimit -u",
    errno.EACCES: "see who owns it, and its mode",
    errno.EPERM: "see who owns it, and its mode",
    errno.EROFS: "mount it for writing",
    errno.EISDIR: "move that folder away",
    errno.ENOTDIR: "move what is in the place of a folder away",
    errno.EEXIST: "move what is there away",
    errno.EIO: "the disk is failing: see the system's log",
}


def complaint(error: OSError) -> str:
    """One line. An error without a number is our own, and says all of it."""
    if error.errno is None:
        return str(error)
    where = os.fsdecode(error.filename2 or error.filename or "")
    return f"{where}: " * bool(where) + reason_of(error)


def reason_of(error: OSError) -> str:
    """What the system says, and what helps."""
    helps = _HELP.get(error.errno or 0, "")
    return f"{error.strerror or error}; {helps}".rstrip("; ")


def files_used_up() -> bool:
    """Whether no further file can be opened: an import then fails in words of its own."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
