"""Writes ONNX models of a few nodes, byte by byte."""

from __future__ import annotations

FLOAT, INT64, HALF, BYTES = 1, 7, 10, 2


def varint(number):
    out = b""
    while number > 127:
        out += bytes((number & 127 | 128,))
        number >>= 7
    return out + bytes((number,))


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def value(name, kind, shape):
    dims = b"".join(block(1, number(1, size)) for size in shape)
    return block(1, name) + block(2, block(1, number(1, kind) + block(2, dims)))


def tensor(name, array):
    kind = {"f": FLOAT, "i": INT64}[array.dtype.kind]
    dims = b"".join(number(1, size) for size in array.shape)
    return dims + number(2, kind) + block(8, name) + block(9, array.tobytes())


def node(kind, inputs, output, *attributes):
    content = b"".join(block(1, name) for name in inputs) + block(2, output) + block(4, kind)
    return content + b"".join(block(5, attribute) for attribute in attributes)


def whole(name, at):
    """An attribute that holds a number."""
    return block(1, name) + number(3, at) + number(20, 2)


def write(path, nodes, constants, given, *made):
    graph = b"".join(block(1, one) for one in nodes) + block(2, "g")
    graph += b"".join(block(5, tensor(name, array)) for name, array in constants.items())
    inputs = given if isinstance(given, list) else [given]
    graph += b"".join(block(11, one) for one in inputs) + b"".join(block(12, one) for one in made)
    opset = block(8, block(1, "") + number(2, 13))
    path.write_bytes(number(1, 8) + block(7, graph) + opset)
    return path
