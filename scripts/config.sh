# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced after lib.sh and toolchain.sh: how the kernel is configured. What is not
# named here, or in CONFIG=, has its Kconfig default.

# What has to come out so.
fragment() {
	local own
	case $FLAVOUR in
	normal) cat "$REPO/tests/kernel/guest.config" ;;
	debug) cat "$REPO"/tests/kernel/{guest,debug}.config ;;
	stock) grep -v SECURITY_VSERVER "$REPO/tests/kernel/guest.config" ;;
	custom)
		cat "$REPO/kernel/configs/vserver.config"
		own=$(sed -n 's/^CONFIG_LOCALVERSION="\(-vserver\)\?\(.*\)"$/\2/p' "$CONFIG")
		echo "CONFIG_LOCALVERSION=\"-vserver${own:--custom}\""
		;;
	esac
}

# What else is asked for.
base() {
	[ "$FLAVOUR" = custom ] || return 0
	cat "$CONFIG"
	changes
}

# What in CONFIG= can't be on this host, and is so instead.
changes() {
	local symbol instead file
	if ! debug_info && grep -q '^CONFIG_DEBUG_INFO=y' "$CONFIG"; then
		echo "# no BTF, nor debug information for it: pahole is missing (package dwarves)"
		echo "CONFIG_DEBUG_INFO_NONE=y"
	fi
	while read -r symbol instead; do
		file=$(sed -n "s/^CONFIG_$symbol=\"\(.*\)\"$/\1/p" "$CONFIG")
		case $file in "" | "$instead" | pkcs11:*) continue ;; esac
		(cd "$TREE" && [ -f "$file" ]) && continue
		echo "# $symbol: there is no $file"
		echo "CONFIG_$symbol=\"$instead\""
	done <<-END
		MODULE_SIG_KEY certs/signing_key.pem
		SYSTEM_TRUSTED_KEYS
		SYSTEM_REVOCATION_KEYS
		SYSTEM_BLACKLIST_HASH_LIST
	END
}

# Makes $BUILD/.config.
configure() {
	local missing line
	fragment >"$BUILD/fragment"
	{ base; cat "$BUILD/fragment"; } >"$BUILD/asked"
	KCONFIG_ALLCONFIG=$BUILD/asked logged config "${KMAKE[@]}" -s alldefconfig

	# The last line on a symbol counts.
	missing=$(awk '
		match($0, /^CONFIG_[A-Z0-9_]+=/) { have[substr($0, 1, RLENGTH - 1)] = $0 }
		/^# CONFIG_[A-Z0-9_]+ is not set/ { have[$2] = "" }
		FNR == NR { for (s in have) want[s] = have[s]; delete have; next }
		END {
			for (s in want) if (want[s] != have[s])
				print (want[s] ? want[s] : "# " s " is not set")
		}' "$BUILD/fragment" "$BUILD/.config")
	[ -n "$missing" ] || return 0
	while read -r line; do
		printf '%s\n' "$line"
		depends "$(grep -o 'CONFIG_[A-Z0-9_]*' <<<"$line")"
	done <<<"$missing" >&2
	"${KMAKE[@]}" -s rustavailable || true
	[ "$FLAVOUR" = custom ] || die "the lines above are asked for in tests/kernel/ and did not make it into $BUILD/.config"
	die "Linux-VServer needs the lines above, which did not make it into $BUILD/.config:" \
		"change what they depend on in $CONFIG, or in a copy of it"
}

# Prints what CONFIG_SYMBOL depends on, and what of that is set.
depends() {
	local symbol=${1#CONFIG_} files
	mapfile -t files < <(grep -rlE --include='Kconfig*' "^\s*(menu)?config $symbol\$" "$TREE")
	awk -v symbol="$symbol" '
		FNR == NR {
			if (split($0, set, "=") == 2 && sub(/^CONFIG_/, "", set[1])) value[set[1]] = set[2]
			next
		}
		/^[ \t]*(menu)?config / { on = $2 == symbol }
		on && $1 == "depends" {
			printf "   %s  #", substr($0, index($0, "depends"))
			while (match($0, /[A-Z0-9_]+/)) {
				word = substr($0, RSTART, RLENGTH)
				if (word in value) printf " %s=%s", word, value[word]
				$0 = substr($0, RSTART + RLENGTH)
			}
			print ""
		}' "$BUILD/.config" "${files[@]}"
}
