"""Ordered loads and stores, for memory that threads without the GIL share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    held = context.make_array(array_type)(context, builder, value=array)
    return builder.gep(held.data, [index])


if TYPE_CHECKING:  # numba's decorator hides what a caller passes

    def load(array: NDArray[np.int64], index: int) -> int:
        """Return ``array[index]``; nothing after it is read before it."""

    def store(array: NDArray[np.int64], index: int, value: int) -> None:
        """Set ``array[index]``; everything before it is written before it."""

    def fence() -> None:
        """Keep reads and writes on their side of this line; a read may pass an earlier write."""

else:

    @intrinsic
    def load(typingctx, array, index):
        """Return ``array[index]`` (int64); nothing after it is read before it."""

        def codegen(context, builder, signature, args):
            place = _place(context, builder, signature.args[0], args[0], args[1])
            return builder.load_atomic(place, "acquire", 8)

        return types.int64(array, types.intp), codegen

    @intrinsic
    def store(typingctx, array, index, value):
        """Set ``array[index]`` (int64); everything before it is written before it."""

        def codegen(context, builder, signature, args):
            place = _place(context, builder, signature.args[0], args[0], args[1])
            builder.store_atomic(args[2], place, "release", 8)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.int64), codegen

    @intrinsic
    def fence(typingctx):
        """Keep reads and writes on their side of this line; a read may pass an earlier write."""

        def codegen(context, builder, signature, args):
            builder.fence("acq_rel")
            return ir.Constant(ir.IntType(8), 0)

        return types.uint8(), codegen
