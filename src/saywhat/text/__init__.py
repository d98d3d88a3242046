"""Text to tokens and back: normaliser, tokenizer, vocabulary, word vectors. No tensors."""
