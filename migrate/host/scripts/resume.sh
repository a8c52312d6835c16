# IDENTITY: start the bottle that arrived, through the bottle installed here. What it says, and when its container
# started, and what time it is now, both by the clock of this host.
bottle resume "$1" -d || exit
docker inspect --format '{{.State.StartedAt}}' "bottle-$1" && date -u +%Y-%m-%dT%H:%M:%S.%NZ
exit 0
