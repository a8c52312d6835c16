# TAG: forget an image that did not prove itself.
docker image rm "$1" >/dev/null 2>&1
exit 0
