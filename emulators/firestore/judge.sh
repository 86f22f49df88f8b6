#!/usr/bin/env bash
# Google's own integration tests of the Firestore Go client, run against the
# emulator. Prints "N passed, N failed, N skipped" and exits non-zero when fewer
# than 46 of the 52 subtests pass. -v shows why one did not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec go run ./emulators/firestore/judge -min 46 "$@"
