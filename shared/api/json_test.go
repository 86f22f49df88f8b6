package api_test

import (
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
)

func TestAnObjectOfManyMembersIsRefused(t *testing.T) {
	t.Parallel()
	object := func(n int) string { return `{"a":[{"b":{` + testcloud.Many(n, `"k%d":1`) + `}}]}` }
	for name, c := range map[string]struct{ body, want string }{
		"as many as are taken": {object(500), ""},
		"one more":             {object(501), "line.a[0].b has more than 500 members"},
		"many small objects":   {"[" + testcloud.Many(2000, `{"k%d":1}`) + "]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := api.CheckJSON("line", []byte(c.body)); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("answered %q, want %q", got, c.want)
			}
		})
	}
}
