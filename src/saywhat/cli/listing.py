"""``saywhat list``: the names that exist."""

from typing import Final

from saywhat.cli.flags import Call
from saywhat.errors import UnknownNameError

KINDS: Final = ("chatbots", "generators", "presets", "searches", "similarities", "targets")


def list_names(call: Call) -> None:
    """List the names that exist."""
    kinds = (call.argument,) if call.argument else KINDS
    found = {kind: _names(kind) for kind in kinds}
    if call.output.as_json:
        call.output.document(found)
        return
    width = max(len(name) for names in found.values() for name in names) + 2
    for kind, names in found.items():
        if len(found) > 1:
            call.output.line(f"{kind}:")
        indent = "  " if len(found) > 1 else ""
        for name, text in names.items():
            call.output.line(f"{indent}{name:{width}}{text}".rstrip())


def _names(kind: str) -> dict[str, str]:
    from saywhat.registry import ASSETS, names

    if kind not in KINDS:
        raise UnknownNameError("kind of name", kind, KINDS)
    if kind == "presets":
        from saywhat.cli.settings import preset_names

        return preset_names()
    if kind == "generators":
        shipped = {"builtin": "the generator trained for the built-in chatbot"}
        return {
            **(shipped if (ASSETS / "generator").exists() else {}),
            "DIR": "made by `saywhat train`",
        }
    if kind == "targets":
        lists = sorted((ASSETS / "targets").glob("*.jsonl"))
        shipped = {path.stem: f"the built-in {path.stem} list" for path in lists}
        return {
            **shipped,
            "FILE": "one sentence a line (.txt), .csv or .tsv with a column text, or .jsonl",
            "text:SENTENCE": "one sentence",
        }
    return names(kind)
