"""From an HTTP answer to a reply, or to the reason why there is none. Answers are hostile data."""

import codecs
import contextlib
import dataclasses
import datetime
import email.utils
import json
import re
import zlib
from typing import Any, Final, final

from saywhat.chatbots.json_paths import MISSING, ReplyPath, text_paths
from saywhat.chatbots.line import Answer
from saywhat.chatbots.secrets import Mask
from saywhat.errors import ChatbotError, Retry
from saywhat.text.whole import whole

MOST_BYTES: Final = 4 * 1024 * 1024
_QUOTED: Final = 200  # characters of a body that a message may show
_LATER: Final = frozenset({408, 425})
_LONGEST_INTEGER: Final = 4000  # digits; Python refuses to read longer ones
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
# Not every codec of Python: some unpack, some take quadratic time, some are no charsets at all.
_CHARSETS: Final = re.compile(
    r"ascii|utf-(8|16|32)(-[lb]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|big5\w*|gb\w+|euc_\w+"
    r"|shift_jis\w*|iso2022_\w+|tis-620|hz|johab|ptcp154|kz1048"
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """How a reply is read.

    Attributes:
        path: where it is in the JSON body; ``None`` if the whole body is the reply.
        reasons: name -> where a server says why it gave no reply.
    """

    path: ReplyPath | None
    reasons: tuple[tuple[str, ReplyPath], ...] = ()

    def reply_in(self, answer: Answer, failures: "Failures") -> str:
        """Give the reply in an answer.

        Args:
            answer: what came.
            failures: makes the error if there is none.

        Raises:
            ChatbotError: there is none.
        """
        mask = failures.mask
        require_success(answer, failures)
        text = _decoded(answer, failures, is_json=self.path is not None)
        if self.path is None:
            return mask(whole(text))
        document = _parsed(text, failures)
        found = self.path.find(document)
        if isinstance(found, str):
            return mask(whole(found))
        told = [(name, path.find(document)) for name, path in self.reasons]
        parts = [f"{name}: {value}" for name, value in told if isinstance(value, str) and value]
        why = f" ({failures.quoted(', '.join(parts))})" if parts else ""
        message = f"Expected text at {self.path}, got {_shape(found)}{why}; "
        raise failures.made(message + _suggested(document, mask), "no reply", "never")


def require_success(answer: Answer, failures: "Failures") -> None:
    """Refuse an answer whose status code is not one of success.

    Raises:
        ChatbotError: with the status code as its kind.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    retry: Retry = "never"
    after, note = None, failures.quoted(answer.body.decode("utf-8", "replace"))
    if 300 <= status < 400:
        note = _redirection(answer, failures)
    elif status == 429 or status >= 500 or status in _LATER:
        after = _patience(answer) if status in {429, 503} else None
        retry = "busy" if status == 429 or after is not None else "later"
    message = f"HTTP {status}: {note}" if note else f"HTTP {status}"
    raise failures.made(message, f"HTTP {status}", retry, after=after)


def one_line(text: str) -> str:
    """Make a text of a stranger fit for a message: one line, and nothing that a terminal obeys."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one query.

    Attributes:
        query: what was asked.
        mask: the secrets that were sent.
    """

    query: str
    mask: Mask

    def made(
        self, message: str, kind: str, retry: Retry, *, after: float | None = None
    ) -> ChatbotError:
        """Make an error; its message is masked, and one line that no terminal obeys."""
        return ChatbotError(
            one_line(self.mask(message)), query=self.query, kind=kind, retry=retry, after=after
        )

    def quoted(self, text: str) -> str:
        """Quote the beginning of a stranger's text; masked first, lest half a secret is left."""
        line = one_line(self.mask(text)[: 4 * _QUOTED])
        return line if len(line) <= _QUOTED else f"{line[:_QUOTED]}…"


def _decoded(answer: Answer, failures: Failures, *, is_json: bool) -> str:
    body = _unpacked(answer, failures)
    declared = _charset(answer)
    # RFC 8259 wants UTF-8; older servers send what the first bytes tell.
    charset = declared or (json.detect_encoding(body) if is_json else "utf-8-sig")
    with contextlib.suppress(UnicodeError):  # the error holds the body: nothing may refer to it
        return body.decode(charset)
    message = f"Expected a body in {charset}, got bytes that are not"
    raise failures.made(message, "encoding", "later")


def _unpacked(answer: Answer, failures: Failures) -> bytes:
    coding = answer.header(b"content-encoding") or "identity"
    if coding.lower() == "identity":
        return answer.body
    message = f"Expected a body that is not compressed, got one in {failures.quoted(coding)}"
    if coding.lower() in {"gzip", "x-gzip", "deflate"}:
        unpacking = zlib.decompressobj(wbits=47)  # gzip or zlib, by its first bytes
        with contextlib.suppress(zlib.error):
            body = unpacking.decompress(answer.body, MOST_BYTES + 1)
            if len(body) > MOST_BYTES:
                larger = f"Expected at most {MOST_BYTES >> 20} MB, got a larger body"
                raise failures.made(larger, "too large", "never")
            if unpacking.eof and not unpacking.unused_data:
                return body
        message += ", which is not whole"
    raise failures.made(message, "encoding", "later")


def _charset(answer: Answer) -> str | None:
    found = _CHARSET.search(answer.header(b"content-type") or "")
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1]).name
    except LookupError:
        return None
    if not _CHARSETS.fullmatch(name):
        return None
    return "utf-8-sig" if name == "utf-8" else name


def _parsed(text: str, failures: Failures) -> Any:
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        problem = "nested too deep"
    except ValueError as error:
        problem = str(error)
    came = f"({problem}): {failures.quoted(text)}" if text.strip() else "nothing"
    raise failures.made(f"Expected JSON, got {came}", "malformed JSON", "later")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _shape(found: Any) -> str:
    if found is MISSING:
        return "nothing"
    if found is None:
        return "null"
    if isinstance(found, bool | int | float):
        return "a boolean" if isinstance(found, bool) else "a number"
    return "a list" if isinstance(found, list) else "an object"


def _suggested(document: Any, mask: Mask) -> str:
    paths = text_paths(document, shown=mask)
    if not paths:
        return "there is no text anywhere in the answer"
    listed = ", ".join(f"{path} ({sample!r})" for path, sample in paths)
    return f"text is at {listed}"


def _redirection(answer: Answer, failures: Failures) -> str:
    location = failures.mask(answer.header(b"location") or "")
    location = re.sub(r"//[^/@]*@", "//", location.partition("?")[0].partition("#")[0])
    where = f" to {failures.quoted(location)}" if location else ""
    return f"redirects are not followed{where}; if the chatbot is there, give that URL"


def _patience(answer: Answer) -> float | None:
    """Read ``Retry-After``: seconds or a date; ``None`` if it is neither."""
    text = (answer.header(b"retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=datetime.UTC)
        return max(0.0, (until - datetime.datetime.now(datetime.UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
