# Finds a Rust compiler of the minimum supported version and the standard libraries of other
# targets. Sourced by the scripts of this directory, from the root of the repository.
#
# Toolchains that rustup has installed are used first. It may be unable to fetch more. Debian's
# packages contain a compiler of the minimum supported version, its std for Debian's other
# architectures, and the sources of std, from which cargo builds it for the rest (-Zbuild-std). They
# are unpacked below target/rust with an apt configuration of their own, and nothing is installed.

minimum_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
rust_store=${CARGO_TARGET_DIR:-$PWD/target}/rust

# The functions below set these. `rust_reason` says why one failed, `rust_environment` holds
# assignments for env(1) and `build_std` arguments for cargo.
rust_reason=
rust_environment=()
build_std=()

# Runs a program of apt with that configuration.
with_apt() { APT_CONFIG=$rust_store/apt/apt.conf "$@"; }

# Writes an apt configuration and gets the lists of packages, unless that has been done.
set_apt_up() {
    local apt=$rust_store/apt codename uri architecture
    if [ -e "$apt/ready" ]; then
        return
    fi
    for tool in apt-get apt-cache dpkg dpkg-deb; do
        type -P "$tool" >/dev/null || { rust_reason="there is no $tool"; return 1; }
    done
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # The mirror that apt uses.
    uri=$(apt-get -q --print-uris update 2>/dev/null |
        sed -nE "s|^'(.*/debian/?)/dists/$codename/InRelease' .*|\1|p" | tail -n 1)
    [ -n "$uri" ] || { rust_reason='apt knows no mirror of Debian'; return 1; }
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/empty"
    echo "deb $uri $codename main" >"$apt/sources.list"
    architecture=$(dpkg --print-architecture)
    # apt verifies the signature with the archive keys of this system.
    cat >"$apt/apt.conf" <<-END
	Dir::State::Lists "$apt/lists";
	Dir::Cache "$apt/cache";
	Dir::Etc::SourceList "$apt/sources.list";
	Dir::Etc::SourceParts "$apt/empty";
	Dir::Etc::Preferences "$apt/empty/preferences";
	Dir::Etc::PreferencesParts "$apt/empty";
	APT::Architectures { "$architecture"; "i386"; "arm64"; "s390x"; };
	APT::Sandbox::User "";
	Acquire::Languages "none";
	Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
	END
    with_apt apt-get -q update >"$apt/log" 2>&1 ||
        { rust_reason="apt-get update failed, see $apt/log"; return 1; }
    touch "$apt/ready"
}

# Downloads packages and unpacks them.
unpack() {
    local apt=$rust_store/apt
    rm -f "$apt"/*.deb
    (cd "$apt" && with_apt apt-get -q download "$@") >>"$apt/log" 2>&1 ||
        { rust_reason="apt-get download failed, see $apt/log"; return 1; }
    for package in "$apt"/*.deb; do
        dpkg-deb -x "$package" "$rust_store/root"
    done
    rm -f "$apt"/*.deb
}

# Unpacks Debian's compiler: $rust_store/rustc runs it.
find_debian_rust() {
    local packages
    set_apt_up || return
    # `rustc-web` is a newer compiler for a stable release of Debian. Sets the names of the packages.
    read -r debian_rustc debian_version < <(with_apt apt-cache madison rustc-web rustc | tr -d ' ' |
        awk -F'|' -v "want=$minimum_rust." 'index($2, want) == 1 { print $1, $2; exit }') ||
        { rust_reason="this Debian has no Rust $minimum_rust"; return 1; }
    local infix=${debian_rustc#rustc}
    debian_std=libstd-rust$infix-dev debian_sources=rust$infix-src
    if "$rust_store/rustc" --version >/dev/null 2>&1; then
        return
    fi
    # Dependencies that the system does not have.
    mapfile -t packages < <(with_apt apt-get -qq --print-uris --yes --allow-downgrades \
        --no-install-recommends install "$debian_rustc=$debian_version" 2>>"$rust_store/apt/log" |
        sed -nE "s/^'.*' ([^_]+)_.*/\1/p" | grep -vE "^($debian_rustc|libstd-rust.*)$")
    unpack "${packages[@]}" "$debian_rustc=$debian_version" "$debian_std=$debian_version" \
        "libstd-rust$infix-$minimum_rust=$debian_version" || return
    cat >"$rust_store/rustc" <<-END
	#!/bin/sh
	libraries=\$(echo "$rust_store"/root/usr/lib/*-linux-gnu)
	LD_LIBRARY_PATH=\$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
	export LD_LIBRARY_PATH
	exec "$rust_store/root/usr/bin/rustc" "\$@"
	END
    chmod +x "$rust_store/rustc"
    if ! "$rust_store/rustc" --version >>"$rust_store/apt/log" 2>&1; then
        rust_reason="Debian's compiler does not start, see $rust_store/apt/log"
        return 1
    fi
}

# Finds a compiler of the minimum supported version.
find_minimum_rust() {
    rust_environment=()
    if rustup toolchain list 2>/dev/null | grep "^$minimum_rust-" >/dev/null; then
        rust_environment=("RUSTUP_TOOLCHAIN=$minimum_rust")
        return
    fi
    find_debian_rust || return
    rust_environment=("RUSTC=$rust_store/rustc")
}

# Finds sources of std, from which cargo builds it for any target.
find_std_sources() {
    local root=$rust_store/root/usr
    # Lets a compiler that is no nightly build std.
    rust_environment=(RUSTC_BOOTSTRAP=1)
    build_std=(-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro)
    if [ -f "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; then
        return
    fi
    find_debian_rust || return
    rust_environment+=("RUSTC=$rust_store/rustc")
    if ! [ -f "$root/lib/rustlib/src/rust/library/Cargo.lock" ]; then
        unpack "$debian_sources=$debian_version" || return
        # This configuration would replace the registry by vendored sources.
        rm -rf "$root"/src/rustc-*/library/.cargo
    fi
}

# Finds std for a target, or its sources.
find_std() {
    local target=$1 architecture
    rust_environment=() build_std=()
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        return
    fi
    case $target in
    i686-unknown-linux-gnu) architecture=i386 ;;
    aarch64-unknown-linux-gnu) architecture=arm64 ;;
    s390x-unknown-linux-gnu) architecture=s390x ;;
    *)
        find_std_sources
        return
        ;;
    esac
    find_debian_rust || return
    rust_environment=("RUSTC=$rust_store/rustc")
    if ! [ -d "$rust_store/root/usr/lib/rustlib/$target/lib" ]; then
        unpack "$debian_std:$architecture=$debian_version"
    fi
}

# Finds the C compiler of the Python package ziglang, which contains the C libraries of other
# systems, or installs it below target/rust.
find_zig() {
    local folder=$rust_store/ziglang
    export PYTHONPATH=$folder${PYTHONPATH:+:$PYTHONPATH}
    if python3 -m ziglang version >/dev/null 2>&1; then
        return
    fi
    mkdir -p "$rust_store"
    python3 -m pip install --quiet --target "$folder" 'ziglang==0.17.1' >"$rust_store/zig.log" 2>&1 ||
        { rust_reason="ziglang cannot be installed, see $rust_store/zig.log"; return 1; }
}
