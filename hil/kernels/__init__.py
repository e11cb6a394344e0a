"""What runs compiled on the wire: register encoding, the request parser, the loops over sockets.

numba's home in `hil`. Everything here is plain functions of arrays.
"""
