"""Bytes moved as a whole: indexed loops over them are not made into wide moves by the compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

if TYPE_CHECKING:  # numba's decorator hides what a caller passes

    def copy(
        out: NDArray[np.uint8], at: int, given: NDArray[np.uint8], start: int, count: int
    ) -> None:
        """Set ``out[at : at + count]`` to ``given[start : start + count]``; bounds are not seen.

        The two do not overlap.
        """

else:

    def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
        held = context.make_array(kind)(context, builder, value=array)
        return builder.gep(held.data, [index])

    @intrinsic
    def copy(typingctx, out, at, given, start, count):
        """Set ``out[at : at + count]`` to ``given[start : start + count]``; bounds are not seen.

        The two do not overlap.
        """
        for array in (out, given):
            if not (isinstance(array, types.Array) and array.dtype == types.uint8):
                return None
            if array.ndim != 1 or array.layout != "C":
                return None

        def codegen(context, builder, signature, args):
            target = _place(context, builder, signature.args[0], args[0], args[1])
            source = _place(context, builder, signature.args[2], args[2], args[3])
            cgutils.raw_memcpy(builder, target, source, args[4], ir.Constant(ir.IntType(64), 1))
            return context.get_dummy_value()

        return types.void(out, types.intp, given, types.intp, types.intp), codegen
