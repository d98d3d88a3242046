"""From ``DIR``, ``MODEL.gguf`` or a hub id to a model and its tokenizer, on this machine alone.

Nothing is downloaded: a hub id is looked up in the hub's cache, where ``hf download ID`` puts it.
No code of a model's author is run: no ``trust_remote_code``, no pickled objects (safetensors, GGUF,
or tensors alone from a ``.bin``), no kernels from the hub. A model whose weights do not fill it, or
that was trained for something else than writing, is refused: the library would fill the rest with
random numbers, or drop it, and answer all the same.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import os
import re
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, final

import torch

from saywhat.errors import SetupError
from saywhat.runs.files import file_hash

_EXTRA: Final = "pip install 'saywhat[transformers]'"
_HUB_ID: Final = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_CONFIG: Final = "config.json"
_EXPECTED: Final = (
    f"Expected a model's folder with {_CONFIG}, model.safetensors (or pytorch_model.bin) and its "
    "tokenizer, as save_pretrained writes it"
)
_SILENT: Final = 100  # over every level of logging
# what can change a reply, among what such a folder holds
_HASHED: Final = frozenset({".safetensors", ".bin", ".json", ".txt", ".model", ".jinja"})


@final
@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model in memory.

    Attributes:
        model: what generates.
        tokenizer: its text in and out.
        name: the folder's, the file's or the hub's.
        sha256: of the files that it was made of.
    """

    model: Any
    tokenizer: Any
    name: str
    sha256: str


def library(name: str = "transformers") -> types.ModuleType:
    """Import a package of the extra.

    Raises:
        SetupError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own imports
            return importlib.import_module(name)
    except ImportError as error:
        raise SetupError(
            f"A transformers: chatbot needs the package {name} ({error}). Install it: {_EXTRA}"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library from writing: its advice on settings is not for who audits a chatbot."""
    log = library("transformers.utils.logging")
    level, hook = log.get_verbosity(), log.set_tqdm_hook(_no_bar)
    log.set_verbosity(_SILENT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(level)
        log.set_tqdm_hook(hook)


def load(argument: str) -> Loaded:
    """Load the model that a spec names.

    Args:
        argument: a folder, a ``.gguf`` file, or a hub id.

    Raises:
        SetupError: the extra is missing, or there is no such model, or it cannot be used.
    """
    library()
    place, name = _find(argument)
    try:
        with quiet(), _alone(place) as (folder, options):
            model, tokenizer = _load(folder, options)
    except SetupError:
        raise
    except Exception as error:
        raise SetupError(
            f"The model at {place} cannot be loaded: {type(error).__name__}: {first_line(error)}"
        ) from error
    return Loaded(model, tokenizer, name, _sha256(place))


def first_line(error: BaseException) -> str:
    """Give the gist of an error of the library, which may be a page long."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _find(argument: str) -> tuple[Path, str]:
    """Give where a model is, and what to call it."""
    path = Path(argument).expanduser()
    if path.is_file():
        return _file(path), path.stem
    if path.is_dir():
        return _folder(path), path.resolve().name
    if path.suffix == ".gguf" or not _HUB_ID.fullmatch(argument):
        raise SetupError(
            f"Expected a folder, a .gguf file or a hub id after transformers:, got {argument!r}; "
            "there is no such file or folder."
        )
    try:
        cached = library("huggingface_hub").snapshot_download(argument, local_files_only=True)
    except Exception as error:
        raise SetupError(
            f"{argument!r} is neither a folder here nor in the hub's cache on this machine. "
            f"saywhat downloads nothing: run `hf download {argument}` first, or name a folder or "
            "a .gguf file."
        ) from error
    return _folder(Path(cached)), path.name


def _file(path: Path) -> Path:
    if path.suffix.lower() != ".gguf":
        raise SetupError(f"Expected a .gguf file or a model's folder, got the file {path}.")
    for package in ("gguf", "accelerate"):
        library(package)
    return path


def _folder(path: Path) -> Path:
    held = sorted(item.name for item in path.iterdir() if not item.name.startswith("."))
    if "adapter_config.json" in held:
        raise SetupError(
            f"{path} holds an adapter, which needs another model: merge them (merge_and_unload), "
            "save the result, and name its folder."
        )
    if _CONFIG not in held:
        files = [name for name in held if name.endswith(".gguf")]
        hint = f" Name the file: transformers:{path / files[0]}." if files else ""
        listing = ", ".join(held[:8]) or "nothing"
        raise SetupError(f"{_EXPECTED}; {path} holds {listing}.{hint}")
    return path


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give where to load from and how: a GGUF file from a folder that holds nothing else.

    The library would take the tokenizer and the chat template of a neighbour for the file's own.
    """
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if place.is_dir():
        yield str(place), options
        return
    # the reader of GGUF files draws a bar that no setting reaches
    silent = contextlib.redirect_stderr(io.StringIO())
    with silent, tempfile.TemporaryDirectory(prefix="saywhat-") as folder:
        link = Path(folder) / "model.gguf"
        try:
            link.symlink_to(place.resolve())
        except OSError:  # not every system lets everybody
            os.link(place.resolve(), link)
        yield folder, options | {"gguf_file": link.name}


def _load(folder: str, options: dict[str, Any]) -> tuple[Any, Any]:
    transformers = library()
    config = transformers.AutoConfig.from_pretrained(folder, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    auto = transformers.AutoModelForCausalLM
    if getattr(config, "is_encoder_decoder", False):
        auto = transformers.AutoModelForSeq2SeqLM
    if "gguf_file" in options:  # else its matrix product could be code from the hub
        options = options | {"quantization_config": transformers.GgufConfig(dequantize=True)}
    model, report = auto.from_pretrained(
        folder, **options, dtype=torch.float32, weights_only=True, output_loading_info=True
    )
    made, meant = type(model).__name__, getattr(config, "architectures", None) or []
    if meant and made.casefold() not in {name.casefold() for name in meant}:
        raise SetupError(
            f"Expected a model that writes text (a causal language model or an encoder-decoder), "
            f"got {', '.join(meant)} in {folder}."
        )
    if missing := sorted(report["missing_keys"]):
        raise SetupError(
            f"The weights in {folder} lack {len(missing)} tensors of a {made}, for example "
            f"{missing[0]}; they would be random. Save the model again, whole."
        )
    return model.eval().requires_grad_(requires_grad=False), tokenizer


def _no_bar(factory: Any, arguments: Any, options: Any) -> Any:
    return factory(*arguments, **(options | {"disable": True}))


def _sha256(place: Path) -> str:
    """Hash a file, or the files of a folder that can change a reply, with their names."""
    if place.is_file():
        return file_hash(place)
    files = [item for item in place.iterdir() if item.suffix in _HASHED and item.is_file()]
    files += place.glob("additional_chat_templates/*.jinja")
    lines = sorted(f"{file_hash(file)} {file.relative_to(place).as_posix()}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
