"""A small CNN, trained here on scikit-learn's digits with convjit's kernels, then tested in f32, i16, i8 and i4.

    pip install 'convjit[cnn]'
    python examples/digits.py [EPOCHS]

`convjit/networks/training.py` has the training, `convjit/networks/digits.py` the network.
"""

from __future__ import annotations

import sys

from convjit.networks.digits import EPOCHS, study


def main(epochs: int) -> None:
    """Train, test, and print a row for each arithmetic."""
    rows = study(epochs=epochs, progress=lambda epoch, loss: print(f"epoch {epoch:2}: loss {loss:.4f}"))
    print(f"\n{'':16}{'accuracy':>9}{'changed':>9}   {'NRMSE of layers 1 to 4, same input':40}{'end to end':>12}")
    for row in rows:
        errors = "".join(f"{error:<10.2e}" for error in row.layers)
        print(f"{row.arithmetic:16}{row.accuracy:>9.2%}{row.changed:>9}   {errors:40}{row.end_to_end:>12.2e}")
    print(f"\nchanged: answers of {rows[0].images} that are not those of f32. i4 is emulated by kernels of bytes.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS)
