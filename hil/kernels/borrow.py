"""Arrays without a reference count, for loops that run long and call often.

Counting the references of thirty arrays costs ten times what a request does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

T = TypeVar("T")

if TYPE_CHECKING:  # numba's decorator hides what a caller passes

    def borrowed(held: T) -> T:
        """Return the same array, or tuple of arrays; whoever calls keeps it alive."""

else:

    def _borrow(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, types.Array):
            same = cgutils.create_struct_proxy(kind)(context, builder, value=value)
            same.meminfo = cgutils.get_null_value(same.meminfo.type)
            same.parent = cgutils.get_null_value(same.parent.type)
            return same._getvalue()  # noqa: SLF001  the one way to the struct, as in numba
        parts = [
            _borrow(context, builder, part, one)
            for part, one in zip(kind, cgutils.unpack_tuple(builder, value), strict=True)
        ]
        return context.make_tuple(builder, kind, parts)

    @intrinsic
    def borrowed(typingctx, held):
        """Return the same array, or tuple of arrays; whoever calls keeps it alive."""

        def codegen(context, builder, signature, args):
            return _borrow(context, builder, held, args[0])

        return held(held), codegen
