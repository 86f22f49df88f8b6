package push_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carillon.example/shared/push"
)

// TestAttributesAreAsLongAsTheyCame: the size of attributes is exact to the byte for all
// characters.
func TestAttributesAreAsLongAsTheyCame(t *testing.T) {
	t.Parallel()
	for _, char := range []string{"x", "<", "&", `\"`, "é"} {
		t.Run(char, func(t *testing.T) {

			raw := `{"a":"` + strings.Repeat(char, (push.MaxAttributeBytes-9)/len(char)) + `"}`
			raw = strings.Replace(raw, `"a"`, `"a`+strings.Repeat("a", push.MaxAttributeBytes-len(raw))+`"`, 1)
			for want, text := range map[bool]string{true: raw, false: strings.Replace(raw, `"a`, `"aa`, 1)} {
				p, faults := push.ParsePatch(map[string]json.RawMessage{"attributes": json.RawMessage(text)}, "body")
				if len(faults) > 0 {
					t.Fatal(faults)
				}
				if _, err := p.ApplyTo(&push.Customer{}); (err == nil) != want {
					t.Errorf("%d bytes of %s: %v", len(text), char, err)
				}
			}
		})
	}
}
