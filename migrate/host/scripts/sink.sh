# Take standard input and do nothing with it: how long that takes tells how fast the link is.
cat >/dev/null
