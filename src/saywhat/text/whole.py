"""Text that any file, request or tokenizer can hold."""


def whole(text: str) -> str:
    r"""Replace lone surrogates, which are no characters and have no UTF-8, by U+FFFD.

    Example:
        >>> whole("a\ud800b") == "a\ufffdb"
        True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
