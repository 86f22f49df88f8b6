package push_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

func TestCallersOfTheSetting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want push.Callers
	}{
		"none":             {"", nil},
		"spaces":           {" \n", nil},
		"nobody":           {"{}", push.Callers{}},
		"nothing allowed":  {`{"a@b.example": []}`, push.Callers{"a@b.example": {}}},
		"address in upper": {`{"Ann@B.example": ["read", "send"]}`, push.Callers{"ann@b.example": {push.PermissionRead, push.PermissionSend}}},
		"a subject":        {`{"1079A": ["erase"]}`, push.Callers{"1079A": {push.PermissionErase}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got push.Callers
			if err := got.UnmarshalText([]byte(c.text)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if (got == nil) != (c.want == nil) {
				t.Errorf("nil: %v, want %v", got == nil, c.want == nil)
			}
		})
	}
}

func TestFaultyCallersAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                               "must be a JSON object",
		`null`:                             "must be a JSON object",
		`{"a": "read"}`:                    "must be a JSON object",
		`{"": ["read"]}`:                   "is empty",
		`{"a": ["read", "write"]}`:         `the caller "a" has the permission "write"`,
		`{"a@b": ["read"], "A@B": []}`:     `the caller "a@b" is listed twice`,
		`{"a": ["all"], "b": ["nothing"]}`: `the caller "b" has the permission "nothing"`,
	} {
		t.Run(text, func(t *testing.T) {

			var got push.Callers
			err := got.UnmarshalText([]byte(text))
			if err == nil {
				t.Fatalf("%s: got no error", text)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: err.Error() = %q, want it to contain %q", text, err.Error(), want)
			}
			if got != nil {
				t.Errorf("%s: %v was taken", text, got)
			}
		})
	}
}

func TestWhoIsAllowed(t *testing.T) {
	t.Parallel()
	listed := push.Callers{"ann": {push.PermissionRead}}
	for _, c := range []struct {
		callers push.Callers
		caller  push.Caller
		need    push.Permission
		want    bool
	}{
		{nil, "", push.PermissionErase, true},
		{nil, "bob", push.PermissionSend, true},
		{listed, "ann", push.PermissionRead, true},
		{listed, "ann", push.PermissionSend, false},
		{listed, "bob", push.PermissionRead, false},
		{listed, "", push.PermissionRead, false},
		{push.Callers{}, "ann", push.PermissionRead, false},
	} {
		if got := c.callers.HasPermission(c.caller, c.need); got != c.want {
			t.Errorf("%v allow %q to %s: %v, want %v", c.callers, c.caller, c.need, got, c.want)
		}
	}
}
