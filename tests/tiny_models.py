"""Tiny models of the transformers library with random weights, in folders of their own.

Their weights are large enough to have opinions, and are the same on every machine.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

TEMPLATE = (
    "{% for turn in messages %}<{{ turn['role'] }}>{{ turn['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<bot>{% endif %}"
)
SPECIAL = ["<pad>", "<end>", "<bot>", "<user>", "<system>"]
GGUF_NAMES = {
    r"model\.layers\.": "blk.",
    r"self_attn\.([qkv])_proj": r"attn_\1", r"self_attn\.o_proj": "attn_output",
    r"mlp\.(gate|up|down)_proj": r"ffn_\1", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", r"model\.embed_tokens": "token_embd",
    r"model\.norm": "output_norm", "lm_head": "output",
}  # fmt: skip
LEARNED = ["how are you ?", "see you tomorrow", "i don't know", "what do you like to eat ?"] * 4


def save_chat(folder: Path, *, template: str | None = TEMPLATE, **change: Any) -> Path:
    """Save a causal model with a chat template, like those of Llama."""
    transformers = _library()
    config = transformers.LlamaConfig(**_sizes(change), num_key_value_heads=2)
    model = transformers.LlamaForCausalLM(config)
    return save(folder, model, template=template, seed=change.get("seed", 0))


def save_plain(folder: Path, **change: Any) -> Path:
    """Save a causal model without a chat template, like DialoGPT."""
    transformers = _library()
    sizes = _sizes(change)
    config = transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=sizes["max_position_embeddings"],
        vocab_size=sizes["vocab_size"], bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    return save(folder, transformers.GPT2LMHeadModel(config), seed=change.get("seed", 0))


def save_pair(folder: Path, **change: Any) -> Path:
    """Save an encoder-decoder, like BlenderBot."""
    transformers = _library()
    sizes = _sizes(change)
    config = transformers.BlenderbotConfig(
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=0,
        max_position_embeddings=sizes["max_position_embeddings"], vocab_size=sizes["vocab_size"],
        bos_token_id=2, eos_token_id=1, decoder_start_token_id=2, forced_eos_token_id=None,
    )  # fmt: skip
    model = transformers.BlenderbotForConditionalGeneration(config)
    return save(folder, model, seed=change.get("seed", 0))


def save_gated(folder: Path) -> Path:
    """Save a causal model with recurrent layers (RecurrentGemma), which read padding."""
    transformers = _library()
    config = transformers.RecurrentGemmaConfig(
        **_sizes({"layers": 3}), num_key_value_heads=1, lru_width=32, attention_window_size=64
    )
    return save(folder, transformers.RecurrentGemmaForCausalLM(config))


def save_recurrent(folder: Path) -> Path:
    """Save a causal model without attention (RWKV); the library mixes up the rows of a batch."""
    transformers = _library()
    config = transformers.RwkvConfig(
        hidden_size=32, attention_hidden_size=32, num_hidden_layers=2, vocab_size=320,
        bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return save(folder, transformers.RwkvForCausalLM(config))


def fill(model: Any, seed: int) -> None:
    """Draw a model's weights, but those of norms, from a source of their own."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name and "ln" not in name:
                weights.normal_(0.0, 0.35, generator=rng)


def tokenizer(template: str | None = None) -> Any:
    """Make a byte-level tokenizer: any text can be read with it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(LEARNED, trainer)
    tokens = {"eos_token": "<end>", "pad_token": "<pad>"}
    wrapped = _library().PreTrainedTokenizerFast(tokenizer_object=made, **tokens)
    wrapped.chat_template = template
    return wrapped


def _library() -> Any:
    return pytest.importorskip(
        "transformers", reason="needs the extra: pip install 'saywhat[transformers]'"
    )


def _sizes(change: dict[str, Any]) -> dict[str, Any]:
    return {
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": change.get("layers", 2),
        "num_attention_heads": 4,
        "max_position_embeddings": change.get("context", 4096),
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
    }


def save(folder: Path, model: Any, *, template: str | None = None, seed: int = 0) -> Path:
    """Save a model with drawn weights, and a tokenizer for it."""
    from saywhat.chatbots.transformers_loading import quiet

    fill(model, seed)
    with quiet():
        model.save_pretrained(folder)
        tokenizer(template).save_pretrained(folder)
    return folder


def save_gguf(folder: Path, file: Path) -> Path:
    """Write the model of ``save_chat`` as a GGUF file, by the format's own library."""
    gguf = pytest.importorskip(
        "gguf", reason="needs the extra: pip install 'saywhat[transformers]'"
    )
    from saywhat.chatbots.transformers_loading import quiet

    with quiet():
        model = _library().LlamaForCausalLM.from_pretrained(folder)
    config, writer = model.config, gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        weights = tensor.numpy()
        if (layer := name.split(".")[-2]) in heads:  # the format turns pairs, not halves
            halves = weights.reshape(heads[layer], 2, -1, weights.shape[1])
            weights = halves.swapaxes(1, 2).reshape(weights.shape)
        written = name
        for ours, theirs in GGUF_NAMES.items():
            written = re.sub(ours, theirs, written)
        writer.add_tensor(written, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: Any, made: dict[str, Any]) -> None:
    tokens = sorted(made["model"]["vocab"], key=made["model"]["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])  # 3: control
    writer.add_token_merges([" ".join(pair) for pair in made["model"]["merges"]])
    writer.add_eos_token_id(tokens.index("<end>"))
    writer.add_pad_token_id(tokens.index("<pad>"))
    writer.add_chat_template(TEMPLATE)
