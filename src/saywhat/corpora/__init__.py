"""Conversations in: readers, cleaning, splits by conversation, posts and target lists."""
