# IMAGE TAG: the image is here already; give it its name.
docker tag "$1" "$2" || fail 24 "docker tag failed"
