"""Networks and decoding. Tensors live here, in generators, training and adapters only."""
