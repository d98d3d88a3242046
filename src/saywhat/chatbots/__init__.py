"""Adapters: each makes one kind of chatbot answer text with text. Only ``registry`` names them."""
