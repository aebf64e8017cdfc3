"""The language: text, its syntax tree, and back."""
