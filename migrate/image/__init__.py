"""The layers of an image: read, spooled, squashed, and composed into what `docker load` is fed."""
