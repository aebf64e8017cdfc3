"""Puts the grammars, which stand beside the package, into it as `convjit.grammars`; all else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["convjit", "convjit.*"]), "convjit.grammars"],
    package_dir={"convjit.grammars": "grammars"},
    package_data={"convjit": ["py.typed"], "convjit.study": ["*.css", "*.js"], "convjit.grammars": ["*.lark", "*.tables"]},
)
