#!/usr/bin/env bash
# Google's own integration tests of the Firestore Go client, run against the
# emulator. It prints "N passed, N failed, N skipped" and exits with a non-zero
# status when fewer than 47 of the 52 subtests pass. -v prints the output of the
# subtests that do not pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec go run ./emulators/firestore/conformance -min 47 "$@"
