"""Dataclasses as documents, by cattrs: the only import of it. Every object is looked at as its `Form` says."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from bottle.errors import BottleError
from bottle.store import values
from bottle.store.form import Form, Json
from bottle.store.values import Read

T = TypeVar("T")

_PLAIN = Form()
_PAIRS = tuple[tuple[str, str], ...]  # an object of texts, in its order


class Converter:
    """Writes and reads what `forms` describe. What it makes for a class it makes when that is first met."""

    def __init__(self, forms: Mapping[type, Form]) -> None:
        self._forms = forms
        self._cattrs = made = cattrs.Converter(unstruct_collection_overrides={tuple: list})
        for cls, read in values.READ.items():
            made.register_structure_hook(cls, read)
        for cls, write in values.WRITTEN.items():
            made.register_unstructure_hook(cls, write)
        made.register_structure_hook_factory(lambda cls: NoneType in get_args(cls), self._optional_reader)
        made.register_structure_hook_factory(_is_tuple, self._tuple_reader)
        made.register_unstructure_hook_func(lambda cls: cls == _PAIRS, dict)
        made.register_structure_hook_factory(is_dataclass, self._object_reader)
        made.register_unstructure_hook_factory(is_dataclass, self._object_writer)

    def to_json(self, value: object) -> Json:
        """The document of a value."""
        return cast("Json", self._cattrs.unstructure(value))

    def from_json(self, document: object, cls: type[T]) -> T:
        """The value of a document. Raises what `told` puts into words."""
        return self._cattrs.structure(document, cls)

    def told(self, error: Exception) -> str:
        """What is wrong, and with which field: the first that was found."""
        path = list[str]()
        while isinstance(error, cattrs.ClassValidationError):
            keys, error = self._form(error.cl).keys, error.exceptions[0]
            notes = getattr(error, "__notes__", ())
            names = [note.name for note in notes if isinstance(note, cattrs.AttributeValidationNote)]
            path += [f"`{keys.get(name, name)}`" for name in names]
        if isinstance(error, KeyError):
            return ": ".join((*path, f"`{error.args[0]}` is missing"))
        said = error.what if isinstance(error, BottleError) else str(error)
        if path and isinstance(error, values.InvalidValue):
            said = f"{path.pop()} {said}"
        return ": ".join((*path, said))

    def _form(self, cls: type | None) -> Form:
        return self._forms.get(cls, _PLAIN) if cls is not None else _PLAIN

    def _optional_reader(self, cls: Any) -> Read:
        """As cattrs has it, which looks for the other type's reader each time."""
        other = next(each for each in get_args(cls) if each is not NoneType)
        return values.optional(self._cattrs.get_structure_hook(other), other)

    def _tuple_reader(self, cls: Any) -> Read:
        if cls == _PAIRS:
            return values.pairs
        item = get_args(cls)[0]
        return values.texts if item is str else values.listed(self._cattrs.get_structure_hook(item), item)

    def _object_reader(self, cls: type) -> Read:
        form = self._form(cls)
        make: Callable[[Json, type], object] = make_dict_structure_fn(cls, self._cattrs, **_overrides(form))
        names = {each.name for each in fields(cls)} - {*form.omitted, *form.later}
        needed = frozenset(form.keys.get(each, each) for each in names)

        def read(document: object, _: object) -> object:
            if not isinstance(document, dict):
                raise values.wrong(document, "an object")
            folded = form.folded(document) if form.folded is not None else document
            if not needed <= folded.keys():
                raise KeyError(min(needed - folded.keys()))
            value = make(folded, cls)
            if form.check is not None:
                form.check(value)
            return value

        return read

    def _object_writer(self, cls: type) -> Callable[[Any], Json]:
        form = self._form(cls)
        write: Callable[[Any], Json] = make_dict_unstructure_fn(cls, self._cattrs, **_overrides(form))
        unfolded = form.unfolded
        return write if unfolded is None else lambda value: unfolded(write(value))


def _is_tuple(cls: Any) -> bool:
    return get_origin(cls) is tuple


def _overrides(form: Form) -> dict[str, Any]:
    """What cattrs is told of the fields of a class."""
    told = {each: cattrs.override(omit=True) for each in form.omitted}
    for each in {*form.keys, *form.read}:
        told[each] = cattrs.override(rename=form.keys.get(each), struct_hook=form.read.get(each))
    return told
