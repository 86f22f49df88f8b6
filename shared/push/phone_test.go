package push_test

import (
	"strings"
	"testing"

	"carillon.example/shared/push"
)

func TestKindOfAToken(t *testing.T) {
	t.Parallel()
	const installation = "cAbCdEfGhIjKlMnOpQrSt1"
	for name, c := range map[string]struct {
		value    string
		declared push.Kind
		want     push.Kind
	}{
		"a FID":                                 {installation, push.KindFID, push.KindFID},
		"a FID in the field of tokens":          {installation, push.KindToken, push.KindFID},
		"a token":                               {installation + ":APA91b", push.KindToken, push.KindToken},
		"a token in the field of FIDs":          {installation + ":APA91b", push.KindFID, push.KindToken},
		"an old token in the field of FIDs":     {strings.Repeat("A", 140), push.KindFID, push.KindToken},
		"what no FID begins with":               {"a" + installation[1:], push.KindToken, push.KindToken},
		"what is shaped as neither, as a FID":   {"installation", push.KindFID, push.KindFID},
		"what is shaped as neither, as a token": {"t1", push.KindToken, push.KindToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := push.KindOf(c.value, c.declared); got != c.want {
				t.Errorf("%s declared a %s is a %s, want %s", c.value, c.declared, got, c.want)
			}
		})
	}
}
