"""Cross-entropy from logits: the code that the book's chapters derive and its tests hold to account."""
