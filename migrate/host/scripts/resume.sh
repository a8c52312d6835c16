# IDENTITY: start the bottle that arrived, through the bottle installed here.
bottle resume "$1" -d
