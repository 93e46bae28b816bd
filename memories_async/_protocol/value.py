"""The base of answers: frozen values that become plain data, JSON, and fields of pydantic models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_type_hints

import attrs

from memories_async._protocol import wire_json
from memories_async._protocol.decode import converter


class Value:
    """Makes plain data of an answer's fields; whatever is one is also a field of a pydantic model.

    A FastAPI handler returns an answer as it is, with or without declaring its class
    (`response_model=list[Clip]`), and the class is described in the OpenAPI schema. Nothing of
    pydantic is imported until pydantic asks.
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as dictionaries, lists, text, numbers, booleans and None."""
        return {name: make_plain(getattr(self, name)) for name in fields_of(type(self))}

    def to_json(self) -> str:
        """Return the fields as JSON text."""
        return wire_json.dumps(self.to_dict()).decode()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the value whose fields `to_dict` gave; a field left out has its default.

        Raises `cattrs.BaseValidationError` where a field is missing or has another type.
        """
        return converter.structure(data, cls)

    @classmethod
    def list_field_types(cls) -> dict[str, tuple[Any, bool]]:
        """Return the type of each field of `to_dict`, and whether it is required."""
        hints = get_type_hints(cls)
        fields = fields_of(cls)
        return {name: (hints[name], one.default is attrs.NOTHING) for name, one in fields.items()}

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: Any) -> Any:
        """Describe the class to pydantic: an instance or its fields in, its fields out."""
        from pydantic_core import core_schema  # noqa: PLC0415  # whoever calls this has it

        fields = core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(handler.generate_schema(kind), required=required)
                for name, (kind, required) in cls.list_field_types().items()
            },
            ref=f"{cls.__module__}.{cls.__qualname__}",
            metadata={
                "pydantic_js_updates": {
                    "title": cls.__name__,
                    "description": (cls.__doc__ or "").strip().partition("\n")[0],
                }
            },
        )
        build = core_schema.no_info_after_validator_function(cls.from_dict, fields)
        return core_schema.json_or_python_schema(
            json_schema=build,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), build]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                # What holds the value may have made it plain already.
                lambda value: value.to_dict() if isinstance(value, cls) else value,
                return_schema=fields,
            ),
        )


def fields_of(kind: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    """Return the fields of an attrs class by name."""
    return attrs.fields_dict(kind)


def make_plain(value: Any) -> Any:
    """Turn what an answer holds into what JSON has a form for."""
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if wire_json.is_object(value):
        return {key: make_plain(one) for key, one in value.items()}
    if wire_json.is_sequence(value):
        return [make_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
