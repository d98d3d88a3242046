"""What a work folder was made from, so that nothing stale is taken for new.

A part's file can be removed to do the part again; the work that it left behind goes on from where
it was only if it still rests on the same bytes. What does not is set aside, not deleted: it may
hold replies that were paid for.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from saywhat.runs.files import file_hash, write_atomically


def renew(
    made: Sequence[Path], sources: Iterable[Path], note: Path, *, at: Path | None = None
) -> bool:
    """Set aside what was made from other files than these are now, and note what these are.

    Args:
        made: folders that are made from the sources.
        sources: files; one that is not there counts as empty.
        note: a file beside them, which remembers the sources' hashes. Without it nothing is known
            of what is there, and it is kept.
        at: where this is, if what is made remembers that and so cannot be moved.

    Returns:
        Whether anything was set aside.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     source, made = folder / "weights", folder / "run"
        ...     _ = source.write_text("one"), made.mkdir()
        ...     first = renew([made], [source], folder / "note.json")
        ...     _ = source.write_text("two")
        ...     first, renew([made], [source], folder / "note.json"), made.exists()
        (False, True, False)
    """
    now = {f"{path.parent.name}/{path.name}": file_hash(path) for path in sources}
    now |= {} if at is None else {"at": str(at)}
    before = json.loads(note.read_text(encoding="utf-8")) if note.exists() else now
    stale = [path for path in made if path.exists()] if before != now else []
    for path in stale:
        set_aside(path)
    if before != now or not note.exists():
        write_atomically(note, f"{json.dumps(now, indent=1)}\n".encode())
    return bool(stale)


def set_aside(path: Path) -> None:
    """Move a folder out of the way, to the first free name of ``NAME.old-1``, ``NAME.old-2``..."""
    number = 1
    while (old := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(old)
