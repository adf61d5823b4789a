"""Contacts, Leads and rows of data extensions from CSV files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bounce_sync.sandbox import csv_values, founding, schema
from bounce_sync.sandbox.csv_file import Column, Complaints, CsvFile, Row, default
from bounce_sync.sandbox.store import DataExtensionField, Store, crm_time

FILES = {"Contact": "contacts.csv", "Lead": "leads.csv"}

_STAMPS = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
_TEXT_AREA = 32_768
_CRM_READERS: dict[str, csv_values.Reader] = {
    "boolean": csv_values.boolean,
    "int": csv_values.integer,
    "double": csv_values.number,
    "currency": csv_values.number,
    "percent": csv_values.number,
    "date": csv_values.day,
    "datetime": csv_values.utc_time,
    "reference": csv_values.reference,
}


def load_records(store: Store, object_name: str, path: Path, complaints: Complaints) -> None:
    """Fills an object; makes custom fields that it lacks, and the Accounts and Users it names."""
    _add_fields(store, object_name, CsvFile(path, Column, Complaints(complaints.folder)))
    fields = {row["name"].lower(): row for row in store.fields(object_name)}
    now = crm_time(datetime.now(UTC))

    def column(name: str) -> Column | None:
        field = fields.get(name.lower())
        if field is None:
            return None
        if field["name"] == "Id":
            read = csv_values.record_id(schema.KEY_PREFIXES[object_name])
            return Column("Id", read, required=True)
        empty = 0 if field["type"] == "boolean" else now if field["name"] in _STAMPS else None
        return Column(field["name"], _CRM_READERS.get(field["type"]), empty)

    file = CsvFile(path, column, complaints, ["Id"])

    def whole() -> Iterator[tuple[int, Row]]:
        for line, row in file.rows():
            for stamp in _STAMPS:
                row.setdefault(stamp, now)
            names = (row.get("FirstName"), row.get("LastName"))
            default(row, "Name", " ".join(filter(None, names)) or None)
            yield line, row

    file.fill(store, object_name, whole(), unique="Id")
    if object_name == "Contact":
        _add_referred(store, "Account", "Contact", "AccountId")
        store.execute(
            "UPDATE Account SET IsPersonAccount = 1, PersonContactId = c.Id, PersonEmail = c.Email,"
            " FirstName = c.FirstName, LastName = c.LastName, Name = coalesce(c.Name, Account.Name)"
            " FROM Contact AS c WHERE c.AccountId = Account.Id AND c.IsPersonAccount = 1"
        )
    _add_referred(store, "User", object_name, "OwnerId")


def _add_fields(store: Store, object_name: str, file: CsvFile) -> None:
    """Makes the fields of the header that aren't there yet, custom ones typed by their values.

    All ``true`` and ``false``: a checkbox; all dates: a date; all times or dates: a date-time;
    anything else is text. A column without any value goes by its name.
    """
    header = {name.lower() for name in file.header}
    founding.add_fields(store, object_name, schema.OPTIONAL_FIELDS[object_name], header)
    known = {row["name"].lower() for row in store.fields(object_name)}
    new = {
        position: _Guess(name)
        for position, name in enumerate(file.header)
        if name.lower().endswith("__c") and name.lower() not in known
    }
    if not new:
        return
    for _, cells in file.cells():
        for position, guess in new.items():
            if position < len(cells) and cells[position]:
                guess.see(cells[position])
    for guess in new.values():
        store.add_field(object_name, guess.name, guess.type, length=guess.length)


class _Guess:
    """The type of a custom field, narrowed by each of its values."""

    _READERS = (
        ("boolean", csv_values.truth),
        ("date", csv_values.plain_day),
        ("datetime", csv_values.utc_time),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self._possible = dict(self._READERS)
        self._longest = 0

    def see(self, cell: str) -> None:
        self._longest = max(self._longest, len(cell))
        for kind, read in list(self._possible.items()):
            try:
                read(cell)
            except ValueError:
                del self._possible[kind]

    @property
    def type(self) -> str:
        if not self._longest:
            name = self.name.lower()
            if name.endswith("hard_bounce__c"):
                return "boolean"
            return "datetime" if name.endswith("_date__c") else "string"
        return next(iter(self._possible), "string" if self._longest <= 255 else "textarea")

    @property
    def length(self) -> int:
        return {"string": 255, "textarea": _TEXT_AREA}.get(self.type, 0)


def _add_referred(store: Store, object_name: str, referring: str, field: str) -> None:
    """Records that others refer to and no file describes: they have an id, a name and no more."""
    now = crm_time(datetime.now(UTC))
    active = ", IsActive" if object_name == "User" else ""
    store.execute(
        f'INSERT OR IGNORE INTO "{object_name}"'
        f" (Id, Name, CreatedDate, LastModifiedDate, SystemModstamp{active})"
        f' SELECT DISTINCT "{field}", ? || "{field}", ?, ?, ?{", 1" if active else ""}'
        f' FROM "{referring}" WHERE "{field}" LIKE ?',
        (f"{object_name} ", now, now, now, schema.KEY_PREFIXES[object_name] + "%"),
    )


def load_data_extension(store: Store, path: Path, complaints: Complaints) -> None:
    """Fills the data extension that the file is named after; makes it, all text, if it isn't there.

    Values are read as the fields are typed; lengths, required fields and keys are minded.
    """
    file = CsvFile(path, Column, Complaints(complaints.folder))
    extension = store.data_extension(path.stem)
    if extension is None:
        store.create_data_extension(
            path.stem, [DataExtensionField(name, max_length=4000) for name in file.header]
        )
        extension = store.data_extension(path.stem)
        assert extension is not None  # noqa: S101 - made on the line above
    fields = {
        field.name.lower(): field for field in store.data_extension_fields(extension["object_id"])
    }

    def column(name: str) -> Column | None:
        field = fields.get(name.lower())
        if field is None:
            return None
        read = _extension_reader(store, field)
        return Column(field.name, read, field.default_value, required=field.name in needed)

    needed = [f.name for f in fields.values() if f.is_required and f.default_value is None]
    file = CsvFile(path, column, complaints, needed)
    file.fill(store, extension["row_table"], file.rows(), unique="primary key")


def _extension_reader(store: Store, field: DataExtensionField) -> csv_values.Reader | None:
    match field.field_type:
        case "Number":
            return csv_values.integer
        case "Decimal":
            return csv_values.number
        case "Boolean":
            return csv_values.boolean
        case "Date":
            return csv_values.server_time(store.utc_offset)
        case _:
            return csv_values.text_of(field.max_length) if field.max_length else None
