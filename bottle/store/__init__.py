"""The state folders under `$BOTTLE_HOME`: each field is checked when read, and a write leaves the old or the new."""
