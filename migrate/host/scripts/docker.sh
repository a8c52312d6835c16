# SUDO DOCKER …: every script that needs the engine begins so, and goes on with the arguments behind these two.
far_sudo=$1
far_docker=$2
shift 2
docker() {
	if [ "$far_sudo" = yes ]; then
		sudo -n "$far_docker" "$@"
	else
		"$far_docker" "$@"
	fi
}
