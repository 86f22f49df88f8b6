package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carillon.example/shared/api"
)

// TestHalfASurrogatePairIsNoText: the decoder would make U+FFFD of each, and
// one customer of two.
func TestHalfASurrogatePairIsNoText(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		`"\ud83d\udd14"`: true, `"\uD83D\uDD14\ud83d\udd14"`: true, `"\\ud800"`: true, `"\\\\ud800"`: true, `"\ufffd"`: true, `"\u00e9\n"`: true,
		`"\ud800"`: false, `"\udc00"`: false, `"\ud83dx"`: false, `"\ud83d\ud83d\udd14"`: false, `"\udd14\ud83d"`: false,
		`"\\\ud800"`: false, `{"\ud800":1}`: false, `["\ud83d\n"]`: false, `"\ud83d\u0041"`: false, `"\ud83d\\udd14"`: false,
	} {
		if !json.Valid([]byte(text)) {
			t.Fatalf("%s is no JSON", text)
		}
		err := api.CheckJSON("body", []byte(text))
		if good != (err == nil) || err != nil && !strings.Contains(err.Error(), "half a surrogate pair") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
