"""Secrets by reference: ``env:NAME`` or ``file:PATH``, read when a request leaves, never shown.

What was read is remembered by a ``Mask`` for one purpose: to replace it in whatever comes back,
since a server may echo what it was sent.
"""

import dataclasses
import html
import json
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, final

from typing_extensions import override

from saywhat.errors import SetupError

HINT: Final = "write env:NAME or file:PATH to say where it is"
_SHORTEST: Final = 4  # characters; anything shorter would mask ordinary words
# the end of a word of a variable's name: PGPASSWORD, DB_PASS, STRIPE_KEY_2
_IN_VARIABLES: Final = re.compile(r"(?:key|token|secret|pass(?:word|wd|phrase)?|credential)s?\Z")
_FOLDERS: Final = frozenset({"PWD", "OLDPWD"})  # not passwords
_REFERENCE: Final = re.compile(
    r"(?:env:(?P<env>[A-Za-z_][A-Za-z0-9_]*)|file:(?P<file>\S[^\r\n\0]*))"
)
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_LAST_WORDS: Final = frozenset({
    "apikey", "auth", "authorization", "bearer", "cookie", "credential", "credentials",
    "passphrase", "passwd", "password", "pwd", "secret", "token",
})  # fmt: skip
_KEY_KINDS: Final = frozenset({"access", "api", "auth", "private", "secret", "subscription"})
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_SCHEMES: Final = re.compile(r"(?:bearer|basic|token|apikey|digest)\s+\S", re.IGNORECASE)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is; the secret itself is nowhere in it.

    Attributes:
        kind: ``env`` or ``file``.
        place: the variable's name or the file's path.
        prefix: what comes before it, such as ``"Bearer "``.
        folder: what a relative path is relative to.

    Example:
        >>> Secret("env", "BOT_TOKEN", prefix="Bearer ")
        Secret(kind='env', place='BOT_TOKEN', prefix='Bearer ')
    """

    kind: Literal["env", "file"]
    place: str
    prefix: str = ""
    folder: Path = dataclasses.field(default=Path(), repr=False)

    def read(self) -> str:
        """Read the secret as it is now, without its prefix.

        Raises:
            SetupError: it is not there, empty, or not one line of text.
        """
        value = self._read()
        if not value:
            raise SetupError(f"{self.place} is empty; a secret was expected there.")
        if any(character in value for character in "\r\n\0"):
            raise SetupError(f"{self.place} has more than one line; a secret must be one line.")
        return value

    def _read(self) -> str:
        if self.kind == "env":
            value = os.environ.get(self.place)
            if value is None:
                raise SetupError(f"{self.place} is not set; set this environment variable.")
            return value
        try:
            return (self.folder / self.place).expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SetupError(f"Expected a secret in {self.place}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise SetupError(f"Expected a secret in {self.place}, which is not UTF-8.") from None


def reference(value: object, folder: Path, *, needs_prefix: bool = False) -> Secret | None:
    """Read a reference to a secret.

    Args:
        value: ``"env:NAME"``, ``"file:PATH"``, or a mapping ``{env: NAME, prefix: TEXT}`` or
            ``{file: PATH, prefix: TEXT}``.
        folder: what a relative path is relative to.
        needs_prefix: whether a mapping without a prefix is no reference, but data.

    Returns:
        Where the secret is, or ``None`` if this is no reference.

    Example:
        >>> reference("env:BOT_TOKEN", Path("."))
        Secret(kind='env', place='BOT_TOKEN', prefix='')
        >>> reference("hello", Path("."))
    """
    prefix: object = ""
    if isinstance(value, Mapping):
        if not (value.keys() <= {"env", "prefix"} or value.keys() <= {"file", "prefix"}):
            return None
        if needs_prefix and "prefix" not in value:
            return None
        prefix = value.get("prefix", "")
        kind = "env" if "env" in value else "file"
        value = f"{kind}:{value.get(kind, '')}"
    if not isinstance(value, str) or not isinstance(prefix, str):
        return None
    found = _REFERENCE.fullmatch(value)
    if found is None:
        return None
    if found["env"]:
        return Secret("env", found["env"], prefix, folder)
    return Secret("file", found["file"], prefix, folder)


def is_credential(key: str, value: object = "") -> bool:
    """Tell whether a key's value must be kept secret, by the key's name or the value's look.

    Example:
        >>> [is_credential(key) for key in ("X-Api-Key", "accessToken", "max_tokens", "key")]
        [True, True, False, False]
    """
    words = [word.lower() for word in _WORDS.findall(key)]
    by_name = bool(words) and (
        words[-1] in _LAST_WORDS
        or "authorization" in words
        or (words[-1] == "key" and bool(_KEY_KINDS & set(words)))
    )
    return by_name or (isinstance(value, str) and _SCHEMES.match(value) is not None)


@final
class Mask:
    """Replaces secrets by ``***``, as they are, and as JSON, HTML and URLs spell them.

    Example:
        >>> mask = Mask()
        >>> mask.add("tiger-7")
        >>> mask("you sent tiger-7")
        'you sent ***'
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._forms: tuple[str, ...] = ()

    @classmethod
    def of_environment(cls) -> "Mask":
        """Know what this process's variables hold, if their names tell of a secret.

        A false alarm costs a few stars here, so such a word may stand anywhere in a name.
        """
        mask = cls()
        for name, value in os.environ.items():
            words = (word.lower() for word in _WORDS.findall(name))
            suspect = is_credential(name, value) or any(map(_IN_VARIABLES.search, words))
            if suspect and name not in _FOLDERS:
                text = os.fsencode(value).decode(errors="replace")
                for part in (text, *text.split("\n")):  # a key may have many lines
                    mask.add(part.strip())
        return mask

    @override
    def __repr__(self) -> str:
        return f"Mask({len(self._known)} secrets)"

    def add(self, secret: str) -> None:
        """Remember a secret; one of fewer than four characters is not masked."""
        if secret in self._known:
            return
        self._known.add(secret)
        forms = set(self._forms)
        if len(secret) >= _SHORTEST:
            forms |= _forms(secret)
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Give the text without any secret in it."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, "***")
        return text

    def piece(self, text: str) -> str:
        """Do the same for text that was cut out, where a secret may be cut off at the ends.

        Example:
            >>> mask = Mask()
            >>> mask.add("tiger-7")
            >>> mask.piece("er-7 was sent, then tiger-7, then tige")
            '*** was sent, then ***, then ***'
        """
        text = self(text)
        for form in self._forms:
            for size in range(min(len(form), len(text)), _SHORTEST - 1, -1):
                if text.endswith(form[:size]):
                    text = text[:-size] + "***"
                if text.startswith(form[-size:]):
                    text = "***" + text[size:]
        return text


def _forms(secret: str) -> set[str]:
    plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    page = html.escape(secret)
    quoted = {
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
    }
    return {
        *plain,
        *(form.replace("/", "\\/") for form in plain),
        page,
        page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(secret, quote=False),
        *quoted,
        *(_PERCENT.sub(lambda code: code[0].lower(), form) for form in quoted),
    }
