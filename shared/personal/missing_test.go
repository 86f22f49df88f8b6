package personal_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/personal"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	attributes := map[string]any{"text": "x", "empty": "", "null": nil, "zero": 0, "number": json.Number("0"), "false": false}
	for name, c := range map[string]struct{ names, want []string }{
		"a text":            {[]string{"text"}, nil},
		"an empty text":     {[]string{"empty"}, []string{"empty"}},
		"null":              {[]string{"null"}, []string{"null"}},
		"no such attribute": {[]string{"city"}, []string{"city"}},
		"zero and false":    {[]string{"zero", "number", "false"}, nil},
		"several":           {[]string{"city", "text", "empty"}, []string{"city", "empty"}},
		"no names":          {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, personal.Missing(c.names, attributes)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
}
