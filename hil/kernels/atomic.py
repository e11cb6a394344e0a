"""Ordered loads and stores, for memory that threads without the GIL share."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["fence", "load", "store"]


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    held = context.make_array(array_type)(context, builder, value=array)
    return builder.gep(held.data, [index])


@intrinsic
def load(typingctx, array, index):  # type: ignore[no-untyped-def]
    """Return ``array[index]`` (int64); nothing after it is read before it."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):  # type: ignore[no-untyped-def]
    """Set ``array[index]`` (int64); everything before it is written before it."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        place = _place(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def fence(typingctx):  # type: ignore[no-untyped-def]
    """Keep reads and writes on their side of this line."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        builder.fence("seq_cst")
        return ir.Constant(ir.IntType(8), 0)

    return types.uint8(), codegen
