"""Laws about the schema: attributes of every type, of some classes only, and read-only; labels outside the schema."""

from __future__ import annotations

from typing import Any

import pytest

from ...core.labels import LABEL_TYPES
from ...core.rows import attribute
from ...core.schema import NO_CLASSES
from ...dataset import create_dataset
from .. import examples
from .base import Laws, Row

_CLASSED = frozenset(examples.BY_PREFERENCE) - NO_CLASSES
_FOREIGN = "unicorn"  # no class of the schema


class SchemaLaws(Laws):
    """The schema is kept to."""

    @pytest.mark.parametrize("name", sorted(examples.ATTRIBUTE_VALUES))
    def test_an_attribute_edited_in_the_tool_comes_back_as_its_type(self, name: str) -> None:
        """Text stays text: "007" does not become 7, nor "true" a boolean."""
        label_type = self.main_type()
        if name not in self.attribute_types(label_type):
            pytest.skip(f"{self.backend.name} has no attribute of type {name} on {label_type}")
        dataset = self.dataset(label_type, 0)
        results = self.send(dataset, label_type)
        row = self.labels_in_tool(results, label_type)[0]
        value = examples.ATTRIBUTE_VALUES[name][1]
        self.tool(results).edit(row, attributes={f"my_{name}": value})
        report = self.load(dataset)
        self.require_load(report, f"a person set the attribute my_{name} of one label", edited=1)
        components = report.writes()["components"].to_pylist()
        assert components == [[f"attributes.my_{name}"]], self.expected(
            f"change the attribute my_{name} alone", f"the load changed {components}"
        )
        where = f"label_id = '{report.writes()['label_id'][0].as_py()}'"
        found = _attributes(dataset.labels(where=where).to_pylist()[0]).get(f"my_{name}")
        wanted = attribute(f"my_{name}", value)
        assert found == wanted, self.expected(f"return the attribute as {wanted}", f"it is {found}")

    def test_attributes_of_one_class_stay_with_it(self) -> None:
        """Labels of that class have the attribute in the tool, and its edits are loaded; labels of other classes do not have it."""
        label_type = self._type_with_attributes(among=_CLASSED)
        if not self.backend.capabilities.class_attributes:
            pytest.skip(f"{self.backend.name} has no attributes of some classes only")
        kind = self.attribute_type(label_type)
        old, new = examples.ATTRIBUTE_VALUES[kind]
        dataset = create_dataset(self.folder / "dataset")
        owner = examples.labels(label_type, 1)[0].columns["label"]
        others = [name for name in examples.CLASSES if name != owner]
        dataset.add_samples(examples.of_one_class(self.folder / "images", label_type, owner, {"own": old}))
        spec = {"classes": [{"classes": [owner], "attributes": {"own": examples.attribute(kind)}}, *others]}
        results = self.send(dataset, label_type, label_schema=_with(label_type, **spec))
        rows = self.labels_in_tool(results, label_type)
        for row in rows:
            wanted = attribute("own", old) if row["label"] == owner else None
            found = _attributes(row).get("own")
            assert found == wanted, self.expected(
                f"return the attribute of {owner!r} alone: {wanted} on a label of {row['label']!r}", f"it is {found}"
            )
        self.require_load(self.load(dataset), "nobody did anything")
        owned = [row for row in rows if row["label"] == owner]
        assert owned, self.expected(f"return the labels of the class {owner!r}", "`download` returns none")
        self.tool(results).edit(owned[0], attributes={"own": new})
        self.require_load(self.load(dataset), f"a person set the attribute of {owner!r} on one label", edited=1)

    def test_a_read_only_attribute_is_not_taken(self) -> None:
        """The dataset keeps its value even if the tool lets it be changed, and the change is listed as refused."""
        label_type = self._type_with_attributes()
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, label_type, label_schema=self._read_only(label_type))
        row = self.labels_in_tool(results, label_type)[0]
        kind = self.attribute_type(label_type)
        self.tool(results).edit(row, attributes={f"my_{kind}": examples.ATTRIBUTE_VALUES[kind][1]})
        self.require_load(self.load(dataset), "a person changed a read-only attribute", refused=1)
        self.require_equal(dataset.labels().to_arrow(), before, "a person changed a read-only attribute")

    def test_a_read_only_attribute_is_shown_as_such(self) -> None:
        """With ``Capabilities.read_only``, the tool shows the read-only attributes as such, and no others."""
        label_type = self._type_with_attributes()
        if not self.backend.capabilities.read_only:
            pytest.skip(f"{self.backend.name} does not show attributes as read-only")
        self.require_method("shown_read_only", "which attributes are locked in the tool")
        results = self.send(self.dataset(label_type, 0), label_type, label_schema=self._read_only(label_type))
        shown, wanted = self.shown_read_only(results), {f"my_{self.attribute_type(label_type)}"}
        assert shown == wanted, self.expected(
            f"show the attributes {sorted(wanted)} as read-only", f"the tool shows {sorted(shown)} so"
        )

    def test_a_class_that_is_not_in_the_schema_is_unexpected(self) -> None:
        """The class is reported under its own name, and the label keeps its old class."""
        label_type = self.main_type(among=_CLASSED)
        if not self.any_class:
            pytest.skip(
                f"the person at the tool of {self.backend.name} gives classes of the schema only: see `any_class`"
            )
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, label_type)
        self.tool(results).edit(self.labels_in_tool(results, label_type)[0], label=_FOREIGN)
        report = self.load(dataset, unexpected="return")
        self.require_load(report, f"a person gave a label the class {_FOREIGN!r}", unexpected=1)
        found = report.unexpected["label"].to_pylist()
        assert found == [_FOREIGN], self.expected(
            f"return the class as it is named in the tool, {_FOREIGN!r}", f"it is {found}"
        )
        self.require_equal(
            dataset.labels().to_arrow(), before, "a person gave a label a class that is not in the schema"
        )

    def test_labels_of_a_strange_type_never_enter_a_field(self) -> None:
        """A box added in a run of polylines is listed as unexpected, and not written."""
        self.require("polylines")
        self.require_new("detections")
        dataset = self.dataset("polylines", 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, "polylines")
        self.draw(self.tool(results), "s0", "detections", "car")
        report = self.load(dataset, unexpected="return")
        self.require_load(report, "a person drew a box in a run of polylines", unexpected=1)
        kinds = report.unexpected["kind"].to_pylist()
        assert kinds == [LABEL_TYPES["detections"]], self.expected("return the box as a box", f"it is {kinds}")
        self.require_equal(dataset.labels().to_arrow(), before, "a person drew a box in a run of polylines")

    def _type_with_attributes(self, among: frozenset[str] = frozenset(examples.BY_PREFERENCE)) -> str:
        label_type = self.main_type(among)
        self.attribute_type(label_type)
        return label_type

    def _read_only(self, label_type: str) -> dict[str, Any]:
        """The schema of the examples, with one attribute that is read-only."""
        kind = self.attribute_type(label_type)
        schema = examples.schema(label_type, self.attribute_types(label_type))
        schema["field"]["attributes"][f"my_{kind}"]["read_only"] = True
        return schema


def _with(label_type: str, **spec: Any) -> dict[str, Any]:
    return {"field": examples.schema(label_type)["field"] | spec}


def _attributes(row: Row) -> dict[str, Any]:
    return {a["name"]: a for a in row["attributes"] or ()}
