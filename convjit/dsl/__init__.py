"""The language: text, its syntax tree (`ast`), the way there (`parse`) and back (`format`).

Nothing is imported here, so that reading the tree's classes does not load the parser.
"""
