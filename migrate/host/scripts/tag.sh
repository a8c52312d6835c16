# IMAGE TAG: the image is here already; give it its name.
docker tag "$1" "$2" || fail "$ENGINE_FAILED" "docker tag failed"
