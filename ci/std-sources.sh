# Finds the sources of the standard library, for targets whose std is not installed: a nightly
# toolchain builds it from them (-Zbuild-std). Sourced by the scripts of this directory.
#
# The sources are the toolchain's rust-src component (rustup component add rust-src --toolchain
# nightly). If it is missing and the system is Debian, the package rust-src of unstable is
# downloaded, provided that its version matches the nightly, and kept in target/cross-check.

std_store=$PWD/target/cross-check

# Succeeds if the directory contains the sources of the standard library.
is_library() {
    [ -f "$1/std/Cargo.toml" ] && [ -f "$1/Cargo.lock" ]
}

# Prints the URI of the Debian mirror that apt uses.
mirror() {
    # shellcheck disable=SC2016 # the dollars are apt's
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }'
}

# Unpacks rust-src of Debian unstable below $std_store. It uses its own apt configuration and does
# not change the system's. On failure it prints the reason to standard output.
unpack_from_debian() {
    local version=$1 apt=$std_store/apt uri have
    for tool in apt-get apt-cache dpkg-deb; do
        type -P "$tool" >/dev/null || { echo "there is no $tool"; return 1; }
    done
    uri=$(mirror)
    [ -n "$uri" ] || { echo 'apt knows no Debian mirror'; return 1; }
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/empty"
    # apt verifies the signature with the archive keys of this system.
    echo "deb $uri sid main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<-END
	Dir::State::Lists "$apt/lists";
	Dir::Cache "$apt/cache";
	Dir::Etc::SourceList "$apt/sources.list";
	Dir::Etc::SourceParts "$apt/empty";
	Dir::Etc::Preferences "$apt/empty/preferences";
	Dir::Etc::PreferencesParts "$apt/empty";
	APT::Architectures { "$(dpkg --print-architecture)"; };
	APT::Sandbox::User "";
	Acquire::Languages "none";
	END
    export APT_CONFIG=$apt/apt.conf
    apt-get -q update >"$apt/log" 2>&1 || { echo "apt-get update failed, see $apt/log"; return 1; }
    have=$(apt-cache madison rust-src | awk -F' *[|] *' '{ print $2 }' | sort -V | tail -n 1)
    case $have in
    "$version".*) ;;
    '') echo 'Debian unstable has no rust-src'; return 1 ;;
    *) echo "the nightly is $version, rust-src of Debian unstable is $have"; return 1 ;;
    esac
    (cd "$apt" && apt-get -q download "rust-src=$have") >>"$apt/log" 2>&1 ||
        { echo "apt-get download failed, see $apt/log"; return 1; }
    rm -rf "$std_store/unpacking"
    dpkg-deb -x "$apt"/rust-src_*.deb "$std_store/unpacking"
    # This configuration would replace the registry by vendored sources.
    rm -rf "$std_store/unpacking"/usr/src/rustc-*/library/.cargo
    rm -rf "$std_store/rust-$version"
    mv "$std_store/unpacking"/usr/src/rustc-* "$std_store/rust-$version"
    rm -rf "$std_store/unpacking" "$apt"/rust-src_*.deb
}

# Exports where the sources of std for a toolchain are. On failure it sets std_reason: there is no
# such toolchain, or there are no sources.
find_std_sources() {
    local toolchain=$1 version library
    std_reason=
    if ! cargo "+$toolchain" --version >/dev/null 2>&1; then
        std_reason="there is no $toolchain toolchain"
        return 1
    fi
    version=$(rustc "+$toolchain" --version | sed -E 's/^rustc ([0-9]+\.[0-9]+)\..*/\1/')
    library=$(rustc "+$toolchain" --print sysroot)/lib/rustlib/src/rust/library
    if is_library "$library"; then
        return
    fi
    library=$std_store/rust-$version/library
    if ! is_library "$library"; then
        mkdir -p "$std_store"
        if ! std_reason=$(unpack_from_debian "$version"); then
            std_reason="no sources of the standard library: $std_reason"
            return 1
        fi
        if ! is_library "$library"; then
            std_reason='the rust-src of Debian unstable has another layout'
            return 1
        fi
    fi
    # Cargo's override for the location of std. It is undocumented, so a nightly may drop it.
    export __CARGO_TESTS_ONLY_SRC_ROOT=$library
}
