package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carillon.example/shared/api"
)

// TestHalfASurrogatePairIsNoText checks that half a surrogate pair is refused. The decoder
// would replace each by U+FFFD, so two customers would become one.
func TestHalfASurrogatePairIsNoText(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		`"\ud83d\udd14"`: true, `"\uD83D\uDD14\ud83d\udd14"`: true, `"\\ud800"`: true, `"\\\\ud800"`: true, `"\ufffd"`: true, `"\u00e9\n"`: true,
		`"\ud800"`: false, `"\udc00"`: false, `"\ud83dx"`: false, `"\ud83d\ud83d\udd14"`: false, `"\udd14\ud83d"`: false,
		`"\\\ud800"`: false, `{"\ud800":1}`: false, `["\ud83d\n"]`: false, `"\ud83d\u0041"`: false, `"\ud83d\\udd14"`: false,
	} {
		t.Run(text, func(t *testing.T) {
			if !json.Valid([]byte(text)) {
				t.Fatalf("%s is not JSON", text)
			}

			err := api.CheckJSON("body", []byte(text))
			if accepted := err == nil; accepted != good {
				t.Errorf("%s is accepted: %v, want %v", text, accepted, good)
			}
			if err != nil && !strings.Contains(err.Error(), "half a surrogate pair") {
				t.Errorf("%s: the error is %q, want half a surrogate pair", text, err)
			}
		})
	}
}
