# The steps of a run of checks, with a table of what each cost. Sourced by .ci/run and ci/portability.

costs=$(mktemp -d)
name=
# Sets `cpu` to the CPU seconds of all processes that have ended.
read_cpu() {
  times >"$costs/times"
  cpu=$(awk -F '[ms ]+' 'NR == 2 { printf "%d", 60 * ($1 + $3) + $2 + $4 }' "$costs/times")
}
end_step() {
  read_cpu
  if [ -n "$name" ]; then
    printf '%8d %8d  %s\n' $((SECONDS - start)) $((cpu - start_cpu)) "$name" >>"$costs/table"
  fi
}
step() {
  end_step
  name=$* start=$SECONDS start_cpu=$cpu
  printf '\n=== %s\n' "$*"
}
# Prints the table. The argument is the exit status.
finish() {
  end_step
  printf '\n%8s %8s  %s\n' seconds CPU step
  cat "$costs/table"
  printf '%8d %8d  %s\n' "$SECONDS" "$cpu" "all"
  rm -r "$costs"
  if [ "$1" != 0 ]; then printf '\nFailed: %s\n' "$name"; fi
}
trap 'finish $?' EXIT
