"""Words for people."""


def counted(number: int, noun: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
