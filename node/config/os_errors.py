"""Turns an OSError into one line for a person: where, what the system said, and what helps."""

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
    name = error.filename2 or error.filename or ""
    where = f"{shown(name)}: " * bool(name)
    if error.errno in (errno.EACCES, errno.EPERM) and (whose := _owner(name)):
        return f"{where}{error.strerror}: {whose}"
    return where + reason_of(error)


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A path as text that can be printed and put into JSON: bytes that are no UTF-8 as escapes."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character that stands for no byte either
        return os.fsdecode(path).encode("utf-8", "backslashreplace").decode()


def _owner(path: str | bytes) -> str:
    """Whose the nearest folder or file is that is there and not ours; "" if all of it is ours."""
    at = os.path.abspath(os.fsdecode(path))
    while True:
        try:
            uid = os.stat(at).st_uid
        except OSError:
            uid = os.geteuid()
        if uid != os.geteuid() and (uid or not os.access(at, os.W_OK)):
            return f"{shown(at)} belongs to {_name_of(uid)}"
        above = os.path.dirname(at)
        if above == at:
            return ""
        at = above


def _name_of(uid: int) -> str:
    import pwd  # lazy: only for the error

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


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
