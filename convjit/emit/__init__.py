"""The kernel as LLVM IR text, and that as PTX."""
