# Installs packages of Debian. Sourced by the scripts that need them.

# Installs the packages that are named. Needs root, or a sudo that asks for no password. Returns 1,
# with the reason in `apt_reason`, if that fails.
install_packages() {
    apt_reason='apt-get failed'
    type -P apt-get >/dev/null || { apt_reason='there is no apt-get'; return 1; }
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || { apt_reason='apt-get needs root'; return 1; }
        as_root=(sudo -n)
    fi
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes
        --quiet=2 --no-install-recommends -o DPkg::Lock::Timeout=300 "$@")
    # The lists of packages may be missing or too old.
    "${install[@]}" || { "${as_root[@]}" apt-get update --quiet=2 && "${install[@]}"; }
}
