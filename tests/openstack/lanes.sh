#!/usr/bin/env bash
# Runs built test programs (bin/NAME.test) on the real OpenStack: lanes.sh LANE..., a lane is NAME[:PATTERN],... .
# Lanes run side by side, what is in a lane one after another. Logs are in bin/openstack-tests; the failed ones are printed.
set -uo pipefail
cd "$(dirname "$0")/../.."
logs=$PWD/bin/openstack-tests
rm -rf "$logs"
mkdir -p "$logs"
export FAIRLEAD_BIN=$PWD/bin # the programs under test

lane() { # NAME[:PATTERN]...
  local test name pattern log begin verdict
  for test in "$@"; do
    name=${test%%:*} pattern=.
    [[ $test == *:* ]] && pattern=${test#*:}
    log=$logs/${test//:/-}.log begin=$SECONDS verdict=passed
    (cd "tests/$name" && "../../bin/$name.test" -test.v -test.timeout 25m -test.run "$pattern" -openstack) >"$log" 2>&1 || verdict=FAILED
    printf '%-35s %s in %d:%02d, %d cases passed, %d skipped, %d failed\n' "$test" "$verdict" $(((SECONDS - begin) / 60)) $(((SECONDS - begin) % 60)) \
      "$(grep -c -- '--- PASS' "$log")" "$(grep -c -- '--- SKIP' "$log")" "$(grep -c -- '--- FAIL' "$log")"
    [[ $verdict == passed ]] || touch "$log.failed"
  done
}

for tests in "$@"; do
  IFS=, read -ra parts <<<"$tests"
  lane "${parts[@]}" &
done
wait

failed=0
for mark in "$logs"/*.failed; do
  [[ -e $mark ]] || continue
  failed=1
  printf '\n=== %s\n' "$(basename "${mark%.log.failed}")"
  grep -v '=== RUN\|--- PASS' "${mark%.failed}" | tail -n 150
done
exit $failed
