"""Facts in, decisions out: nothing here touches a disk, an engine or a network."""
