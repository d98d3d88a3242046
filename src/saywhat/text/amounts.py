"""Numbers and times in words."""


def count(number: int, noun: str) -> str:
    """Write a number of things.

    Example:
        >>> count(1, "query"), count(2500, "query"), count(3, "try"), count(2, "word")
        ('1 query', '2,500 queries', '3 tries', '2 words')
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def milliseconds(seconds: float) -> str:
    """Write a latency.

    Example:
        >>> milliseconds(0.2124), milliseconds(0.0003), milliseconds(12.34)
        ('212 ms', 'under 1 ms', '12.3 s')
    """
    if seconds >= 10:
        return f"{seconds:.1f} s"
    return "under 1 ms" if seconds < 0.001 else f"{1000 * seconds:,.0f} ms"


def duration(seconds: float) -> str:
    """Write an estimate of time.

    Example:
        >>> duration(0.2), duration(42.3), duration(1500.0), duration(2e4), duration(4e5)
        ('under a second', 'about 42 s', 'about 25 min', 'about 5.6 h', 'about 4.6 days')
    """
    if seconds < 1:
        return "under a second"
    for size, unit, most in ((1, "s", 99), (60, "min", 99), (3600, "h", 48)):
        if (number := seconds / size) <= most:
            return f"about {number:.1f} {unit}" if unit == "h" else f"about {number:.0f} {unit}"
    return f"about {seconds / 86400:.1f} days"
