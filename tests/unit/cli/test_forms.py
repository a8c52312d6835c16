"""The public JSON of what is kept of a bottle, byte for byte: it changes knowingly or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from bottle.cli.forms import agent_document, commit_document, document_of, metadata_document
from tests.support import written

GOLDEN = Path(__file__).parent / "golden" / "kept.json"


def test_what_is_kept_is_told_as_ever() -> None:
    told = {
        "metadata": metadata_document(written.METADATA),
        "metadata, bare": metadata_document(written.BARE),
        "agent": agent_document(written.AGENT),
        "commit": commit_document(written.COMMIT),
        "first commit": commit_document(written.FIRST),
        "intent": document_of(written.INTENT),
        "migration": document_of(written.MIGRATION),
        "tombstone": document_of(written.TOMBSTONE),
        "request": document_of(written.REQUEST),
    }
    assert json.dumps(told, indent=2) + "\n" == GOLDEN.read_text()
