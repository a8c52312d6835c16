"""A container that reads the engine's folders for a user who may use Docker and may not read them: both of its ends."""
