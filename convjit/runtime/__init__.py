"""From LLVM IR text to code that runs: objects, the worker pool, the function object, foreign arrays, the cache."""
